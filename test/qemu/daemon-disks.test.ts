// SPDX-License-Identifier: Apache-2.0
//
// A storage daemon has no devices: its disks are the images that nothing stands on.

import { execFileSync } from 'node:child_process'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { connect } from '../../lib/index.js'
import { startQemu } from '../support/qemu/start-qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('daemon-disks')
afterAll(() => temp.remove())

test('a filter over an image is not a disk, and does not hide the image', async () => {
  const folder = temp.folder()
  const path = `${folder}/disk.qcow2`
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M'])
  const file = { driver: 'file', filename: path }
  const args = [
    { driver: 'qcow2', 'node-name': 'image', file },
    { driver: 'copy-on-read', 'node-name': 'filter', file: 'image' },
  ].flatMap((options) => ['--blockdev', JSON.stringify(options)])
  const qemu = await startQemu({ folder, program: 'qemu-storage-daemon', args })
  const connection = await connect({ domains: [{ name: 'vm0', qmp: qemu.socket, disks: [] }] })
  onTestFinished(() => connection.close())
  const domain = await connection.lookupByName('vm0')
  expect(await domain.listDisks()).toEqual([{ target: 'image', source: path, format: 'qcow2' }])
})

test('a disk exported beside I/O threads is refused, and pulled once the export is gone', async () => {
  const folder = temp.folder()
  const path = `${folder}/disk.qcow2`
  execFileSync('qemu-img', ['create', '-q', '-f', 'raw', `${folder}/base`, '1M'])
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', `${folder}/base`, '-F', 'raw', path])
  const image = { driver: 'qcow2', 'node-name': 'image', file: { driver: 'file', filename: path } }
  const args = ['--object', 'iothread,id=thread', '--blockdev', JSON.stringify(image)]
  const qemu = await startQemu({ folder, program: 'qemu-storage-daemon', monitors: 2, args })
  const client = await qemu.connect(1)
  const server = { type: 'unix', data: { path: `${folder}/nbd` } }
  await client.execute('nbd-server-start', { addr: server })
  const where = { 'node-name': 'image', iothread: 'thread', writable: true }
  await client.execute('block-export-add', { type: 'nbd', id: 'export', ...where })
  const connection = await connect({ domains: [{ name: 'vm0', qmp: qemu.socket, disks: [] }] })
  onTestFinished(() => connection.close())
  const domain = await connection.lookupByName('vm0')
  await expect(domain.blockPull('image')).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(/node 'image' is exported by a QEMU that has I\/O threads.*block-export-del/),
  })
  expect((await domain.plan('image')).refusals).toMatchObject([{ code: 'UNSUPPORTED' }])
  await client.execute('block-export-del', { id: 'export', mode: 'hard' })
  const { state } = await (await domain.blockPull('image')).done
  expect(state).toBe('completed')
})
