// SPDX-License-Identifier: Apache-2.0
//
// Programs for libvirt, compiled as anybody compiles them: as C11, against the headers and the library that
// pkg-config finds. Which libvirt.so.0 they run on is a matter of LD_LIBRARY_PATH.

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Ended, run, runWell } from '../support/processes/run-program.js'
import { repository } from '../tidy/source-files.js'

/** Set where our library was built with AddressSanitizer, whose runtime must then be the first in a process. */
const sanitized = process.env.BLOCKPULL_ASAN_SHIM

const folder = sanitized ?? join(repository, 'build-cmake/dev')

/** Our libvirt.so.0 or one beside it, which `npm test` builds before the tests that use it. */
export function ourLibrary(name = 'libvirt.so.0'): string {
  const library = join(folder, name)
  if (!existsSync(library)) {
    const build = 'cmake --preset dev && cmake --build --preset dev'
    throw new Error(`'${library}' is missing, and the tests of C programs need it; run '${build}'`)
  }
  return library
}

/** libvirt's own. */
export async function theirLibrary(name = 'libvirt.so.0'): Promise<string> {
  return join((await runWell('pkg-config', ['--variable=libdir', 'libvirt'])).trim(), name)
}

/** Compiles test/abi/NAME.c into `output`, linked to these libraries too; gives the path. */
export async function compile(name: string, output: string, ...libraries: readonly string[]): Promise<string> {
  const flags = (await runWell('pkg-config', ['--cflags', '--libs', 'libvirt'])).trim().split(/\s+/)
  const warnings = ['-Wall', '-Wextra', '-Werror', '-Wno-unused-function']
  const source = resolve(import.meta.dirname, `${name}.c`)
  await runWell('cc', [
    '-std=c11',
    '-D_DEFAULT_SOURCE',
    '-g',
    ...warnings,
    source,
    '-o',
    output,
    '-pthread',
    ...libraries,
    ...flags,
  ])
  return output
}

/** Runs a program on libvirt's own library. One that hangs is ended after half a minute, with code 124. */
export function onTheirs(program: string, ...args: readonly string[]): Promise<Ended> {
  return run('timeout', ['30', program, ...args])
}

/** Runs a program on ours. */
export async function onOurs(program: string, ...args: readonly string[]): Promise<Ended> {
  ourLibrary()
  const preload: string[] =
    sanitized === undefined ? [] : [`LD_PRELOAD=${(await runWell('cc', ['-print-file-name=libasan.so'])).trim()}`]
  return await run('timeout', ['30', 'env', `LD_LIBRARY_PATH=${folder}`, ...preload, program, ...args])
}
