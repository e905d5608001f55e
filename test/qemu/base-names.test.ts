// SPDX-License-Identifier: Apache-2.0
//
// How a base is named under a running guest: by a name that fits two layers, and in the header of an image that QEMU
// has open by a link. What our own engine does in these cases is in test/pull/names.test.ts.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import * as virt from '../../lib/libvirt.js'
import { makeLinkedImage } from '../support/images/linked-image.js'
import { writeQcow2 } from '../support/images/qcow2-builder.mjs'
import { makeChain } from '../support/images/stream-case.js'
import { driveArgs, LiveDisk } from '../support/qemu/live-disk.js'
import { difference, info } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('base-names')
afterAll(() => temp.remove())

const size = 4194304
const over = (backingFile: string) => ({ size, backingFormat: 'qcow2', backingFile })

/** `layers` are names in the folder, top first. */
async function opened(folder: string, ...layers: readonly string[]) {
  const chain = {
    folder,
    top: `${folder}/${layers[0]}`,
    layers: layers.map((name) => ({ path: `${folder}/${name}`, format: 'qcow2' })),
  }
  return await LiveDisk.start(chain, { diskArgs: driveArgs(chain) })
}

test('a name that matches two layers is refused with both, and means the upper one in vir* calls', async () => {
  const folder = temp.folder()
  for (const name of ['a', 'b', 'domains']) mkdirSync(`${folder}/${name}`)
  await makeChain(`${folder}/b`, { name: 'x', size: '4M', io: ['write -P 9 0 1M'] })
  writeQcow2(`${folder}/b/m`, over('x'))
  writeQcow2(`${folder}/a/x`, over('../b/m'))
  writeQcow2(`${folder}/a/top`, over('x'))
  const live = await opened(folder, 'a/top', 'a/x', 'b/m', 'b/x')
  await expect(live.pull({ base: 'x' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(/base 'x' matches layer 1 '.*a\/x' by its file and layer 3 '.*x' by its file/),
  })
  symlinkSync(live.monitor, `${folder}/domains/vm0.qmp`)
  writeFileSync(`${folder}/domains/vm0.xml`, '<domain><name>vm0</name></domain>')
  const conn = await virt.virConnectOpen(`qemu:///embed?root=${folder}/domains`)
  const dom = await virt.virDomainLookupByName(conn, 'vm0')
  await expect(virt.virDomainBlockRebase(dom, `${folder}/a/top`, 'x', 0)).resolves.toBe(0)
  await virt.virConnectClose(conn)
  await live.shutOff()
  // Nothing was to be pulled over the immediate backing file.
  expect(await live.complaints(`${folder}/a/x`)).toEqual([])
})

test('the header of a linked image leads to the base from the link and from where the image lies', async () => {
  const folder = temp.folder()
  await makeLinkedImage(folder)
  const live = await opened(folder, 'vm/disk', 'vm/0', 'base')
  expect(await live.pull({ base: `${folder}/base` })).toMatchObject({ state: 'completed', verified: true })
  await live.shutOff()
  expect(await info(`${folder}/vm/snap/1`)).toMatchObject({ 'backing-filename': '../base' })
  for (const name of ['disk', 'snap/1']) {
    expect(await difference(`${folder}/before.raw`, `${folder}/vm/${name}`)).toBeNull()
  }
})
