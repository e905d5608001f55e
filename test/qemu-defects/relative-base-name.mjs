// SPDX-License-Identifier: Apache-2.0
//
// A block-stream that keeps a base writes the base's name into the header as QEMU itself opened it. Where QEMU
// was started with a relative path, that name is relative to QEMU's working directory, but the next open takes it
// as relative to the folder of the image: the chain is broken as soon as QEMU has ended.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { backingName, createImage, folder, reproduce, say, startQemu, tool } from './reproduce.mjs'

await reproduce('a block-stream writes a base name that only its own process can resolve', async () => {
  mkdirSync(join(folder, 'images'))
  createImage('images/base.qcow2', '4M', { writes: ['write -P 0xbb 0 4M'] })
  createImage('images/middle.qcow2', '4M', { backing: 'base.qcow2' })
  createImage('images/top.qcow2', '4M', { backing: 'middle.qcow2' })
  const file = { driver: 'file', filename: 'images/top.qcow2' }
  const { qemu, client } = await startQemu([{ driver: 'qcow2', 'node-name': 'top', file }])
  /** @type {any[]} */
  const nodes = await client.execute('query-named-block-nodes', { flat: true })
  const base = nodes.find((node) => node.drv === 'qcow2' && node.file.endsWith('base.qcow2'))
  say(`QEMU has opened images/top.qcow2; its base is the node ${base['node-name']}, file ${base.file}`)
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top', 'base-node': base['node-name'] })
  await client.event('BLOCK_JOB_COMPLETED')
  await qemu.quit(client)
  const name = backingName('images/top.qcow2')
  say(`backing file in the header of images/top.qcow2: ${name}`)
  try {
    tool('qemu-img', 'map', 'images/top.qcow2')
    return false
  } catch (error) {
    say(`opening the chain: ${String(error).trim().split('\n').pop()}`)
    return String(error).includes('No such file')
  }
})
