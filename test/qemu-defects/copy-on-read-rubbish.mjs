// SPDX-License-Identifier: Apache-2.0
//
// A copy-on-read filter stands over an image that is streamed, and the backing file is shorter than that. What the
// guest reads behind the end of the backing file comes out of memory that nobody has filled, and is written into the
// image as well. Nobody writes anything here.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createImage, flatten, folder, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce('reads of the guest write rubbish behind the end of a short backing file', async () => {
  createImage('base.qcow2', '64k', { writes: ['write -P 0x11 0 64k'] })
  createImage('top.qcow2', '1M', { backing: 'base.qcow2' })
  // Memory that is handed out and not filled is told by this byte.
  process.env.MALLOC_PERTURB_ = '90'
  const above = { driver: 'copy-on-read', 'node-name': 'above', file: 'top' }
  const { qemu, client } = await startQemu([qcow2Node('top'), above])
  say('block-stream of the image below the filter')
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top', 'auto-finalize': false })
  await client.event('BLOCK_JOB_PENDING')
  say('the guest reads what lies behind the end of the backing file, zeros')
  await client.execute('human-monitor-command', { 'command-line': 'qemu-io above "read 512k 256k"' })
  await qemu.quit(client)
  flatten('top.qcow2', 'after.raw')
  const wrong = readFileSync(join(folder, 'after.raw'))
    .subarray(1 << 16)
    .filter((byte) => byte !== 0).length
  say(`${wrong} bytes there are not zero by now`)
  return wrong > 0
})
