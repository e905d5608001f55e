// SPDX-License-Identifier: Apache-2.0
//
// An overlay that ends inside a cluster, over a longer backing file. QEMU's copy-on-write fills the last cluster
// whole, so bytes of the backing file lie behind the end of the disk. Growing the disk must show zeros there, after a
// pull as before.

import { copyFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import type { PullImageOptions } from '../../lib/index.js'
import { makeChain, pathAt, pulled } from '../support/images/stream-case.js'
import { check, difference, flatten, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('last')
afterAll(() => temp.remove())

const deep = { size: '4M', io: ['write -P 0xbb 0 4M'] }

/** Pulls the image and grows it; it must read as one that was grown and not pulled. */
async function expectSameOnceGrown(path: string, options: PullImageOptions = {}) {
  const twin = `${path}.twin`
  copyFileSync(path, twin)
  const completion = await pulled(path, options)
  for (const image of [path, twin]) await qemuImg('resize', '-q', '-f', 'qcow2', image, '1M')
  await flatten(twin, `${twin}.raw`)
  expect(await difference(`${twin}.raw`, path)).toBeNull()
  expect((await check(path)).code).toBe(0)
  return completion
}

test.each([
  ['that QEMU has copied', ['write -P 1 64k 512']],
  ['that the pull copies', []],
  ['that is zeros', ['write -z 64k 16k']],
])('a last cluster %s shows no bytes of the base', async (_, io) => {
  const chain = await makeChain(temp.folder(), deep, { size: '80k', io })
  expect((await expectSameOnceGrown(chain.top)).warnings).toEqual([])
})

test('a pull that keeps a shorter base drops the longer layer between', async () => {
  const base = { size: '64k', io: ['write -P 3 0 64k'] }
  const chain = await makeChain(temp.folder(), base, deep, { size: '80k', io: ['write -P 1 64k 512'] })
  await expectSameOnceGrown(chain.top, { base: pathAt(chain, 2) })
})

test('clusters of 2 MiB, moved in strips', async () => {
  const options = 'cluster_size=2M'
  const chain = await makeChain(temp.folder(), deep, { size: '80k', options })
  await expectSameOnceGrown(chain.top, { bytesPerSecond: 65536 })
})

test('a compressed last cluster is left as it is, and the outcome warns', async () => {
  const chain = await makeChain(temp.folder(), deep, { size: '128k' })
  await qemuIo(chain.top, 'qcow2', 'write -c -P 5 64k 64k')
  await qemuImg('resize', '-q', '--shrink', '-f', 'qcow2', chain.top, '80k')
  const { warnings } = await pulled(chain.top)
  expect(warnings).toEqual([expect.stringContaining('has 49152 bytes of a backing file after the end of its disk')])
  expect((await check(chain.top)).code).toBe(0)
})
