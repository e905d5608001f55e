// SPDX-License-Identifier: Apache-2.0
//
// Where the layer right below the active image is shorter than it, a guest reads zeros behind that layer's end. A
// block-stream that keeps a longer base takes the short layer out and writes no zeros for it, so the guest then
// reads what the base has there: data of the past.
//
//     active  |........|........|      guest reads   |mmmmmmmm|00000000|
//     short   |mmmmmmmm|               afterwards    |mmmmmmmm|bbbbbbbb|
//     base    |bbbbbbbb|bbbbbbbb|

import { createImage, flatten, qcow2Node, readsAs, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce('a block-stream past a shorter layer changes what the guest reads', async () => {
  createImage('base.qcow2', '8M', { writes: ['write -P 0xbb 0 8M'] })
  createImage('short.qcow2', '4M', { backing: 'base.qcow2', writes: ['write -P 0xaa 0 4M'] })
  createImage('top.qcow2', '8M', { backing: 'short.qcow2' })
  say('top 8 MiB on short 4 MiB on base 8 MiB; block-stream of short into top, base is kept')
  flatten('top.qcow2', 'before.raw')
  const { qemu, client } = await startQemu([qcow2Node('top', qcow2Node('short', qcow2Node('base')))])
  const names = { 'base-node': 'base', 'backing-file': 'base.qcow2' }
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top', ...names })
  const { data } = await client.event('BLOCK_JOB_COMPLETED')
  say(`BLOCK_JOB_COMPLETED, offset ${data.offset} of ${data.len}, error ${data.error ?? 'none'}`)
  await qemu.quit(client)
  return !readsAs('before.raw', 'top.qcow2')
})
