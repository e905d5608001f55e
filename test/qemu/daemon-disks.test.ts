// SPDX-License-Identifier: Apache-2.0
//
// A storage daemon has no devices: its disks are the images that nothing stands on.

import { execFileSync } from 'node:child_process'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { connect } from '../../lib/index.js'
import { startQemu } from '../support/start-qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('daemon-disks')
afterAll(() => temp.remove())

test('a filter over an image is no disk, and does not hide the image', async () => {
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
