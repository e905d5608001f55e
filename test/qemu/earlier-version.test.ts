// SPDX-License-Identifier: Apache-2.0
//
// What version 0.1.0 leaves in a QEMU: jobs that QEMU finalizes by itself, and flush filters. They are found by their
// names, and such a job is judged by the files once it has ended.

import { afterAll, expect, test } from 'vitest'
import { makeChain } from '../support/images/stream-case.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { expectWhole } from '../support/qemu/live-verdict.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('earlier-version')
afterAll(() => temp.remove())

/** FNV-1a of 32 bits, by which ids lead back to nodes. */
function hashDigits(name: string): string {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash.toString(16).padStart(8, '0')
}

async function start() {
  const chain = await makeChain(
    temp.folder(),
    { name: 'base', size: '4M', io: ['write -P 1 0 4M'] },
    { name: 'top', size: '4M', io: ['write -P 2 0 64k'] },
  )
  const live = await LiveDisk.start(chain)
  const client = await live.client()
  const id = `blockpull-vda-${hashDigits('top')}`
  await client.execute('block-stream', { 'job-id': id, device: 'top', speed: 1 << 18, 'auto-finalize': true })
  return { live, client, id }
}

test('a job that QEMU finalizes by itself is tracked, and judged by the files', async () => {
  const { live, client, id } = await start()
  const domain = await live.domain()
  const reaping = domain.reap()
  // Asked after the reap, and so answered once that has found the job.
  expect(await domain.blockJobInfo('vda')).not.toBeNull()
  await client.execute('block-job-set-speed', { device: id, speed: 0 })
  const [job] = await reaping
  expect(job?.outcome).toMatchObject({ state: 'completed', verified: true, released: [`${live.chain.folder}/base`] })
  await expectWhole(live)
})

test('a flush filter is found and removed', async () => {
  const { live, client, id } = await start()
  const filter = `blockpull-${hashDigits('top')}-0123abcd`
  const permissions = ['write-unchanged']
  const options = { driver: 'blkdebug', image: 'top', 'take-child-perms': permissions, 'node-name': filter }
  await client.execute('blockdev-add', options)
  await client.execute('block-job-set-speed', { device: id, speed: 0 })
  await (await live.domain()).reap()
  const { nodes } = await client.execute('x-debug-query-block-graph')
  expect(nodes.filter(({ name }: { name: string }) => name === filter)).toEqual([])
  await expectWhole(live)
})
