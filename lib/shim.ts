// SPDX-License-Identifier: Apache-2.0
//
// Where `libvirt.so.0` lies, for `LD_LIBRARY_PATH`: in the package, or in a checkout where CMake has built it.
//
// The folder holds nothing but libraries of libvirt's names, so that it hides no other library. Nothing is loaded here.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadFacts, systemFault } from './native/load-failure.js'

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..')

/**
 * The folder with `libvirt.so.0`, for `LD_LIBRARY_PATH` of a program that was made for libvirt. Throws an `Error` if
 * this system has none.
 */
export function shimPath(): string {
  const fault = systemFault(loadFacts(packageRoot, null, null))
  if (fault !== null) throw new Error(`libvirt.so.0 cannot be used here: ${fault}`)
  return findShim(packageRoot, `${process.platform}-${process.arch}`)
}

/** The same below any folder, and for any system, 'linux-x64' say. */
export function findShim(root: string, system: string): string {
  const packed = join(root, 'prebuilds', system, 'lib')
  const folders = [packed, join(root, 'build-cmake/release'), join(root, 'build-cmake/dev')]
  const found = folders.find((folder) => existsSync(join(folder, 'libvirt.so.0')))
  if (found !== undefined) return found
  const advice = existsSync(join(root, 'scripts/setup'))
    ? "build it with 'cmake --preset release && cmake --build --preset release --target libvirt_shim'"
    : 'install the package again'
  throw new Error(`libvirt.so.0 is missing in '${packed}'; ${advice}`)
}
