// SPDX-License-Identifier: Apache-2.0
//
// A running guest's disk that ends inside a cluster, over a longer base: QEMU leaves bytes of the base behind its end,
// and nobody but QEMU may write there. The outcome warns.

import { afterAll, expect, test } from 'vitest'
import { makeChain } from '../support/images/stream-case.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('last-live')
afterAll(() => temp.remove())

async function pullOf(size: string) {
  const base = { size: '4M', io: ['write -P 0xbb 0 4M'] }
  const chain = await makeChain(temp.folder(), base, { size, io: ['write -P 1 64k 512'] })
  const live = await LiveDisk.start(chain)
  const { warnings } = await live.pull()
  await live.shutOff()
  return { warnings, complaints: await live.complaints(null) }
}

test('the outcome warns of bytes that would show once the disk grows', async () => {
  const { warnings, complaints } = await pullOf('80k')
  expect(warnings).toEqual([expect.stringContaining('has 49152 bytes of a backing file after the end of its disk')])
  expect(complaints).toEqual([])
})

test('a disk of whole clusters has none', async () => {
  expect(await pullOf('128k')).toEqual({ warnings: [], complaints: [] })
})
