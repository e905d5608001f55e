// SPDX-License-Identifier: Apache-2.0
//
// The check of the remedy, not of a defect of its own: a job that waits at 'pending', a flush, job-finalize, a second
// flush, and then the kill. The flush is the blockdev-reopen of a filter of ours, which flushes what lies below it
// and says so when that fails. QEMU and qemu-storage-daemon both have it.

import { createImage, flatten, qcow2Node, readsAs, reproduce, say, startQemu } from './qemu.mjs'

/** @param {import('./qemu.mjs').Qemu} qemu */
async function flush(qemu) {
  const filter = { driver: 'blkdebug', 'node-name': 'flusher', image: 'top', 'take-child-perms': ['write-unchanged'] }
  await qemu.command('blockdev-add', filter)
  await qemu.command('blockdev-reopen', { options: [filter] })
  await qemu.command('blockdev-del', { 'node-name': 'flusher' })
  say('flushed')
}

/** @param {boolean} daemon */
async function isLost(daemon) {
  createImage('base.qcow2', '16M', { writes: ['write -P 0x55 0 16M'] })
  createImage('top.qcow2', '16M', { backing: 'base.qcow2' })
  flatten('top.qcow2', 'before.raw')
  const qemu = await startQemu([qcow2Node('top')], { daemon })
  say(`block-stream in ${daemon ? 'qemu-storage-daemon' : 'QEMU'}, with auto-finalize false`)
  await qemu.command('block-stream', { 'job-id': 'pull', device: 'top', 'auto-finalize': false })
  await qemu.event('BLOCK_JOB_PENDING', 'pull')
  await flush(qemu)
  await qemu.command('job-finalize', { id: 'pull' })
  const { data } = await qemu.event('BLOCK_JOB_COMPLETED', 'pull')
  say(`BLOCK_JOB_COMPLETED, error ${data.error ?? 'none'}`)
  await flush(qemu)
  await qemu.kill()
  return !readsAs('before.raw', 'top.qcow2')
}

await reproduce(
  'a flush before and after job-finalize does not help',
  async () => (await isLost(false)) || (await isLost(true)),
)
