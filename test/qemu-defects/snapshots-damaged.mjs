// SPDX-License-Identifier: Apache-2.0
//
// An internal snapshot has tables of its own. Where they are empty, its bytes come from the backing file, as those
// of the image do. A block-stream fills the image's tables alone and then removes the backing file for both: the
// snapshot then reads zeros there. No warning, and qemu-img check finds nothing.

import { createImage, flatten, qcow2Node, readsAs, reproduce, say, startQemu, tool } from './reproduce.mjs'

await reproduce('a full block-stream empties the internal snapshots of the image', async () => {
  /** @param {string} raw */
  const readSnapshot = (raw) =>
    tool('qemu-img', 'convert', '-f', 'qcow2', '-l', 'snapshot.name=friday', '-O', 'raw', 'top.qcow2', raw)
  createImage('base.qcow2', '4M', { writes: ['write -P 0xbb 0 4M'] })
  createImage('top.qcow2', '4M', { backing: 'base.qcow2' })
  tool('qemu-img', 'snapshot', '-c', 'friday', 'top.qcow2')
  flatten('top.qcow2', 'before.raw')
  readSnapshot('friday-before.raw')
  const { qemu, client } = await startQemu([qcow2Node('top')])
  say("block-stream of the whole chain; the image has the snapshot 'friday'")
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top' })
  const { data } = await client.event('BLOCK_JOB_COMPLETED')
  say(`BLOCK_JOB_COMPLETED, error ${data.error ?? 'none'}`)
  await qemu.quit(client)
  const check = tool('qemu-img', 'check', '-f', 'qcow2', 'top.qcow2')
  say(`qemu-img check: ${check.split('\n')[0]}`)
  if (!readsAs('before.raw', 'top.qcow2')) throw new Error('the image itself has changed')
  readSnapshot('friday-after.raw')
  return !readsAs('friday-before.raw', 'friday-after.raw', 'raw')
})
