// SPDX-License-Identifier: Apache-2.0
//
// A check that repairs opens the image without its table of snapshots. Where the image also has a persistent bitmap,
// QEMU writes the header anew for the bitmap's sake, and states in it that there are no snapshots. What they owned is
// then taken for leaks, and freed.

import { createImage, reproduce, say, tool } from './reproduce.mjs'

/** How many snapshots the image has. */
function snapshots() {
  const listed = JSON.parse(tool('qemu-img', 'info', '--output=json', '-f', 'qcow2', 'disk.qcow2'))
  return (listed.snapshots ?? []).length
}

await reproduce('qemu-img check -r deletes the snapshots of an image with a bitmap', async () => {
  createImage('disk.qcow2', '4M', { writes: ['write -P 1 0 1M'] })
  tool('qemu-img', 'snapshot', '-c', 'clean', 'disk.qcow2')
  tool('qemu-img', 'bitmap', '--add', '-f', 'qcow2', 'disk.qcow2', 'backup')
  say(`the image is sound, and has ${snapshots()} snapshot and a bitmap`)
  tool('qemu-img', 'check', '-q', '-f', 'qcow2', 'disk.qcow2')
  say('qemu-img check -r leaks')
  tool('qemu-img', 'check', '-q', '-r', 'leaks', '-f', 'qcow2', 'disk.qcow2')
  const left = snapshots()
  say(`the image has ${left} snapshots`)
  return left === 0
})
