// SPDX-License-Identifier: Apache-2.0
//
// QEMU copies whole clusters. Where a disk ends inside one and its backing file goes on, the rest of the cluster gets
// the backing file's bytes. While there is a longer backing file, QEMU writes zeros there when the disk grows; after
// a block-stream there is none, and a disk that grows shows them.
//
//     active  |1.......|....|               grown before   |1bbbbbbb|bbbb0000|00000000|
//     base    |bbbbbbbb|bbbbbbbb|bbbbbbbb|  grown after    |1bbbbbbb|bbbbbbbb|00000000|

import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { createImage, flatten, folder, qcow2Node, readsAs, reproduce, say, startQemu, tool } from './reproduce.mjs'

await reproduce('a disk that grows after a block-stream shows bytes of the base', async () => {
  createImage('base.qcow2', '1M', { writes: ['write -P 0xbb 0 1M'] })
  createImage('top.qcow2', '80k', { backing: 'base.qcow2', writes: ['write -P 1 0 512'] })
  copyFileSync(join(folder, 'top.qcow2'), join(folder, 'twin.qcow2'))
  const { qemu, client } = await startQemu([qcow2Node('top', qcow2Node('base'))])
  say('block-stream of base 1 MiB into top of 80 KiB, with clusters of 64 KiB')
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top' })
  const { data } = await client.event('BLOCK_JOB_COMPLETED')
  say(`BLOCK_JOB_COMPLETED, offset ${data.offset} of ${data.len}, error ${data.error ?? 'none'}`)
  await qemu.quit(client)
  say('top, and a twin that was not streamed, grow to 256 KiB')
  for (const image of ['top.qcow2', 'twin.qcow2']) tool('qemu-img', 'resize', '-q', '-f', 'qcow2', image, '256k')
  flatten('twin.qcow2', 'twin.raw')
  return !readsAs('twin.raw', 'top.qcow2')
})
