// SPDX-License-Identifier: Apache-2.0
//
// A block-stream that has nothing to copy puts its filter over the image all the same: the image has no backing file,
// or the one right below it is the base. For whatever the image does not have, the filter looks further down for a
// layer that drops out, and finds none: the guest's next read of a place that was never written ends QEMU.

import { createImage, endInsteadOf, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce('a read, while a stream without a backing file is there, ends QEMU', async () => {
  createImage('top.qcow2', '1M')
  const above = { driver: 'raw', 'node-name': 'above', file: 'top' }
  const { qemu, client } = await startQemu([qcow2Node('top'), above])
  say('block-stream of an image that stands alone; the job waits at pending')
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top', 'auto-finalize': false })
  await client.event('BLOCK_JOB_PENDING')
  say('a read of what was never written')
  const read = client.execute('human-monitor-command', { 'command-line': 'qemu-io above "read 0 64k"' })
  const end = await endInsteadOf(qemu, read)
  if (end === null) {
    say('it was read')
    await qemu.quit(client)
    return false
  }
  say(`QEMU ended by ${end.signal}`)
  return end.signal === 'SIGSEGV'
})
