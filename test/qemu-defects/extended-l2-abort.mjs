// SPDX-License-Identifier: Apache-2.0
//
// With extended_l2=on a cluster is allocated in 32 subclusters. The copy-on-read under a block-stream of QEMU
// before 8.2 begins at the first byte of the cluster, also where the job found only a later part of it to be
// missing. If that first subcluster is there, it fails its own assertion: QEMU aborts, and the guest with it.

import { createImage, endInsteadOf, flatten, qcow2Node, readsAs, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce('a block-stream into an image with extended L2 entries ends QEMU', async () => {
  createImage('base.qcow2', '4M', { writes: ['write -P 0xbb 0 4M'] })
  const options = 'extended_l2=on,cluster_size=128k'
  createImage('top.qcow2', '4M', { backing: 'base.qcow2', options, writes: ['write -P 0xaa 0 4k'] })
  flatten('top.qcow2', 'before.raw')
  const { qemu, client } = await startQemu([qcow2Node('top')])
  say('block-stream into an image that has the first 4 KiB of a cluster of 128 KiB')
  client.send('block-stream', { 'job-id': 'pull', device: 'top' })
  const end = await endInsteadOf(qemu, client.event('BLOCK_JOB_COMPLETED'))
  if (end === null) {
    say('BLOCK_JOB_COMPLETED')
    await qemu.quit(client)
    if (!readsAs('before.raw', 'top.qcow2')) throw new Error('the image has changed')
    return false
  }
  say(`QEMU ended by ${end.signal}: ${qemu.printed.trim()}`)
  readsAs('before.raw', 'top.qcow2')
  if (!qemu.printed.includes('skip_bytes < pnum')) throw new Error('QEMU ended for another reason')
  return true
})
