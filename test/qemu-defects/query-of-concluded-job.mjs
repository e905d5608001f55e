// SPDX-License-Identifier: Apache-2.0
//
// A job that was started with auto-dismiss false stays when it has ended, until somebody sends job-dismiss. A
// stream job of that kind still holds its filter node, which has lost the node under it. query-named-block-nodes
// lists that node too, follows the pointer that is not there, and the whole QEMU dies, with the guest in it. It does
// not matter who asks, nor whether the job was done, failed or cancelled.

import { createImage, endInsteadOf, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce('a query ends QEMU while an ended block-stream is not dismissed', async () => {
  createImage('base.qcow2', '4M', { writes: ['write -P 0xbb 0 4M'] })
  createImage('top.qcow2', '4M', { backing: 'base.qcow2' })
  const { qemu, client } = await startQemu([qcow2Node('top')])
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top', 'auto-dismiss': false })
  await client.event('BLOCK_JOB_COMPLETED')
  const [job] = await client.execute('query-jobs')
  say(`block-stream with auto-dismiss false; the job is ${job.status}, error ${job.error ?? 'none'}`)
  say('query-named-block-nodes')
  const end = await endInsteadOf(qemu, client.execute('query-named-block-nodes', { flat: true }))
  if (end === null) {
    say('it was answered')
    await qemu.quit(client)
    return false
  }
  say(`QEMU ended by ${end.signal} ${qemu.printed.trim()}`)
  return end.signal === 'SIGSEGV'
})
