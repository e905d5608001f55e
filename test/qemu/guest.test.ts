// SPDX-License-Identifier: Apache-2.0
//
// A real guest at work on a disk that is being pulled. It writes, flushes and reads back all the while; what it
// reads is judged inside the guest, and at the end the host must see the same bytes as the guest did.

import { randomBytes } from 'node:crypto'
import { truncateSync, writeFileSync } from 'node:fs'
import { afterAll, afterEach, expect, test } from 'vitest'
import { type BlockPullOptions, connect } from '../../lib/index.js'
import { type Guest, type GuestOptions, startGuest } from '../support/guest/guest.js'
import { digestOf, overwrite } from '../support/images/files.js'
import { check, flatten, info, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('guest')
const diskBytes = 64 << 20
let guest: Guest | undefined
afterEach(() => guest?.kill())
afterAll(() => temp.remove())

async function start(options: GuestOptions): Promise<Guest> {
  guest = await startGuest(options)
  console.log(`the guest came up in ${Math.round(guest.bootMilliseconds)} ms under ${guest.accelerator}`)
  return guest
}

interface GuestDisk {
  readonly folder: string
  readonly image: string
  readonly base: string
  readonly socket: string
}

/** Three layers of 64 MiB: a base with 32 MiB of random bytes, 24 in the middle, a little of the overlay's own. */
async function makeDisk(): Promise<GuestDisk> {
  const folder = temp.folder()
  const [raw, base, middle, image] = [`${folder}/raw`, `${folder}/base`, `${folder}/middle`, `${folder}/active`]
  writeFileSync(raw, randomBytes(32 << 20))
  truncateSync(raw, diskBytes)
  await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', raw, base)
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', middle)
  await qemuIo(middle, 'qcow2', 'write -P 97 24M 24M')
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', middle, '-F', 'qcow2', image)
  await qemuIo(image, 'qcow2', 'write -P 99 5M 3M', 'write -z 20M 1M', 'write -P 98 60M 100k')
  return { folder, image, base, socket: `${folder}/qmp` }
}

/** Pulls while the guest is at work, and lets it judge what it reads. */
async function pullUnder(guest: Guest, disk: GuestDisk, options: BlockPullOptions) {
  const disks = [{ target: 'vda', source: disk.image, format: 'qcow2' }]
  const connection = await connect({ domains: [{ name: 'vm0', qmp: disk.socket, disks }] })
  try {
    await guest.startLoop(2, 5)
    const job = await (await connection.lookupByName('vm0')).blockPull('vda', options)
    const completion = await job.done
    const { writes, bytesWritten, milliseconds } = await guest.stopLoop()
    console.log(`during the pull: ${writes} writes, ${bytesWritten >> 20} MiB, ${milliseconds} ms`)
    expect(writes).toBeGreaterThan(30)
    expect(await guest.verify()).toBe(diskBytes / 4096)
    return completion
  } finally {
    await connection.close()
  }
}

test('a guest that writes during pulls, to a base and whole, reads its own bytes; so does the host', async () => {
  const disk = await makeDisk()
  const { folder, image, base, socket } = disk
  const guest = await start({ folder, disk: image, qmpSockets: [socket] })
  expect(await guest.remember()).toBe(diskBytes / 4096)
  await guest.write(1, 100)
  const partial = await pullUnder(guest, disk, { base, bandwidth: '8MiB/s' })
  expect(partial).toMatchObject({ method: 'block-stream', released: [`${folder}/middle`] })
  const full = await pullUnder(guest, disk, { bandwidth: '8MiB/s' })
  expect(full).toMatchObject({ method: 'block-stream', released: [base] })
  const seenByGuest = await guest.sum()
  await guest.powerOff()

  expect(await check(image)).toMatchObject({ code: 0 })
  expect((await info(image))['backing-filename']).toBeUndefined()
  await flatten(image, `${folder}/flat.raw`)
  expect(digestOf(`${folder}/flat.raw`)).toBe(seenByGuest)
})

test('a guest notices a block that it did not change, and the end of QEMU', async () => {
  const folder = temp.folder()
  const raw = `${folder}/disk.raw`
  writeFileSync(raw, randomBytes(8 << 20))
  const guest = await start({ folder, disk: [{ 'node-name': 'disk', driver: 'file', filename: raw }] })
  await expect(guest.order('dance')).rejects.toThrow("unknown order 'dance'")
  await guest.remember()
  await guest.verify()
  expect(await guest.sum()).toBe(digestOf(raw))
  overwrite(raw, (5 << 20) + 8192, Buffer.alloc(4096, 0xee))
  await expect(guest.verify()).rejects.toThrow('mismatch of 4096 bytes at offset 5251072, which reads eeee')
  await guest.startLoop(1)
  await guest.kill()
  await expect(guest.stopLoop()).rejects.toThrow('QEMU has ended')
})
