// SPDX-License-Identifier: Apache-2.0
//
// A block-stream that has nothing to do is over before QEMU answers the command that started it: BLOCK_JOB_COMPLETED,
// and with auto-dismiss the end of the job's id, come first and {"return": {}} comes last. A client that
// begins to listen for the job when the reply arrives waits for ever.

import { createImage, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce('a job ends before the command that started it is answered', async () => {
  createImage('top.qcow2', '4M')
  const { qemu, client } = await startQemu([qcow2Node('top')])
  client.messages = []
  say('block-stream of an image that has no backing file')
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top' })
  await client.event('BLOCK_JOB_COMPLETED')
  const order = client.messages.map(({ event, data }) =>
    event ? [event, data.status].filter(Boolean).join(' ') : 'reply',
  )
  say(`QEMU said: ${order.join(', ')}`)
  await qemu.quit(client)
  return order.indexOf('BLOCK_JOB_COMPLETED') < order.indexOf('reply')
})
