// SPDX-License-Identifier: Apache-2.0
//
// What a pull needs of the package, laid out by hand: dist, the loader, and binaries of one architecture that are built
// for it; and a disk to pull with it. The soak tests run it where the checkout itself would not run.

import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type CaseChain, makeChain } from '../support/images/stream-case.js'
import { runWell } from '../support/processes/run-program.js'
import { check, difference, flatten, info } from '../support/qemu/qemu.js'
import { repository } from '../tidy/source-files.js'

/** Lays out the package in `folder`, which is made. */
export async function layOutPackage(folder: string, arch: 'x64' | 'arm64'): Promise<void> {
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  for (const part of ['package.json', 'dist', 'node_modules/node-gyp-build']) {
    cpSync(join(repository, part), join(folder, part), { recursive: true })
  }
  await runWell(join(repository, 'scripts/build-prebuilds'), [arch, folder])
}

/** The names of the libraries in prebuilds/linux-ARCH/lib. */
export const libraries = ['libvirt.so.0', 'libvirt-qemu.so.0', 'libvirt-lxc.so.0']

export interface Disk {
  readonly chain: CaseChain
  /** What a guest read from it before the pull, a raw file. */
  readonly before: string
}

/** A disk of two layers in `folder`, which is there: 40 MiB to pull. */
export async function makeDisk(folder: string): Promise<Disk> {
  const chain = await makeChain(
    folder,
    { name: 'base.qcow2', size: '64M', io: ['write -P 1 0 24M', 'write -P 2 32M 16M'] },
    { name: 'top.qcow2', size: '64M', io: ['write -P 3 1M 1M'] },
  )
  const before = join(folder, 'before.raw')
  await flatten(chain.top, before)
  return { chain, before }
}

/** The disk stands on its own, and a guest reads what it read. */
export async function expectPulled({ chain, before }: Disk): Promise<void> {
  expect(await difference(before, chain.top)).toBeNull()
  expect((await check(chain.top)).code).toBe(0)
  expect(await info(chain.top)).not.toHaveProperty('backing-filename')
}
