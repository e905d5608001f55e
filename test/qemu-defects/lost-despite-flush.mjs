// SPDX-License-Identifier: Apache-2.0
//
// The check of the remedy, not of a defect of its own: a job that waits at 'pending', a flush, job-finalize, a second
// flush, and then the kill. The flush is the blockdev-reopen of a filter of ours, which flushes what lies below it
// and says so when that fails. QEMU and qemu-storage-daemon both have it.

import { createImage, flatten, killQemu, qcow2Node, readsAs, reproduce, say, startQemu } from './reproduce.mjs'

/** @param {import('../support/qemu/qmp-client.mjs').QmpClient} client */
async function flush(client) {
  const filter = { driver: 'blkdebug', 'node-name': 'flusher', image: 'top', 'take-child-perms': ['write-unchanged'] }
  await client.execute('blockdev-add', filter)
  await client.execute('blockdev-reopen', { options: [filter] })
  await client.execute('blockdev-del', { 'node-name': 'flusher' })
  say('flushed')
}

/** @param {'qemu-system-x86_64' | 'qemu-storage-daemon'} program */
async function isLost(program) {
  createImage('base.qcow2', '16M', { writes: ['write -P 0x55 0 16M'] })
  createImage('top.qcow2', '16M', { backing: 'base.qcow2' })
  flatten('top.qcow2', 'before.raw')
  const { qemu, client } = await startQemu([qcow2Node('top')], { program })
  say(`block-stream in ${program}, with auto-finalize false`)
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top', 'auto-finalize': false })
  await client.event('BLOCK_JOB_PENDING')
  await flush(client)
  await client.execute('job-finalize', { id: 'pull' })
  const { data } = await client.event('BLOCK_JOB_COMPLETED')
  say(`BLOCK_JOB_COMPLETED, error ${data.error ?? 'none'}`)
  await flush(client)
  await killQemu(qemu)
  return !readsAs('before.raw', 'top.qcow2')
}

await reproduce(
  'a flush before and after job-finalize does not help',
  async () => (await isLost('qemu-system-x86_64')) || (await isLost('qemu-storage-daemon')),
)
