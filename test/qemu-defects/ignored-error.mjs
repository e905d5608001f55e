// SPDX-License-Identifier: Apache-2.0
//
// With on-error 'ignore' a block-stream that could not read its backing file goes on to the end and reports
// offset == len. It has failed all the same: the event has an error and the backing file is kept. A client that
// takes offset == len for success deletes a backing file that the image still needs.

import { backingName, createImage, flatten, qcow2Node, readsAs, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce('a failed job reports that it has done everything', async () => {
  createImage('base.qcow2', '4M', { writes: ['write -P 0xbb 0 4M'] })
  createImage('top.qcow2', '4M', { backing: 'base.qcow2' })
  flatten('top.qcow2', 'before.raw')
  const fault = { event: 'read_aio', iotype: 'read', errno: 5 }
  const file = { driver: 'blkdebug', image: { driver: 'file', filename: 'base.qcow2' }, 'inject-error': [fault] }
  const { qemu, client } = await startQemu([{ driver: 'qcow2', 'node-name': 'base', file }, qcow2Node('top', 'base')])
  say("block-stream with on-error 'ignore'; every read of the base's data fails with EIO")
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top', 'on-error': 'ignore' })
  const { data } = await client.event('BLOCK_JOB_COMPLETED')
  say(`BLOCK_JOB_COMPLETED, offset ${data.offset} of ${data.len}, error ${data.error ?? 'none'}`)
  await qemu.quit(client)
  say(`backing file in the header: ${backingName('top.qcow2')}`)
  if (!readsAs('before.raw', 'top.qcow2')) throw new Error('the image has changed')
  return data.offset === data.len && data.error !== undefined
})
