// SPDX-License-Identifier: Apache-2.0
//
// A disk whose chain another program changes between our look at it and the moment that QEMU begins the job.

import { readFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { makeChain, pathAt } from '../support/images/stream-case.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('chain-changed')
afterAll(() => temp.remove())

test('a snapshot just before the job starts: the job is cancelled, and the chain is whole', async () => {
  const chain = await makeChain(
    temp.folder(),
    { name: 'base', size: '64M', io: ['write -P 1 0 48M'] },
    { name: 'top', size: '64M', io: ['write -P 3 2M 64k'] },
  )
  const base = readFileSync(pathAt(chain, 1))
  const live = await LiveDisk.start(chain, { proxy: true })
  const domain = await live.domain()
  const hold = live.proxy?.hold(['block-stream'], 'before')
  const pull = domain.blockPull('vda', { bandwidth: '1MiB/s' })
  pull.catch(() => undefined)
  await hold?.reached
  const snapshot = { 'node-name': 'top', 'snapshot-file': `${chain.folder}/snap`, 'snapshot-node-name': 'snap' }
  await (await live.client()).execute('blockdev-snapshot-sync', { ...snapshot, format: 'qcow2' })
  hold?.release()
  await expect(pull).rejects.toThrow(/was changed by another program; pull the disk again/)
  await expect.poll(() => live.jobs()).toEqual([])
  expect(readFileSync(pathAt(chain, 1)).equals(base)).toBe(true)
  await live.shutOff()
  expect(await live.complaints(pathAt(chain, 1))).toEqual([])
})
