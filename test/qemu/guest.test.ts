// SPDX-License-Identifier: Apache-2.0
//
// A real guest at work on a disk that is being pulled. It writes, flushes and reads back all the while; what it
// reads is judged inside the guest, and at the end the host must see the same bytes as the guest did.

import { randomBytes } from 'node:crypto'
import { truncateSync, writeFileSync } from 'node:fs'
import { afterAll, afterEach, expect, test } from 'vitest'
import { digestOf, overwrite } from '../support/files.js'
import { type Guest, type GuestOptions, startGuest } from '../support/guest/guest.js'
import { PlainMonitor } from '../support/guest/plain-monitor.js'
import { check, flatten, info, qemuImg, qemuIo } from '../support/qemu.js'
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

/** An overlay with a little of its own over a base of 64 MiB, of which 48 are random bytes; in their folder. */
async function makeDisk(): Promise<{ folder: string; image: string; socket: string }> {
  const folder = temp.folder()
  const [raw, base, image] = [`${folder}/base.raw`, `${folder}/base.qcow2`, `${folder}/active.qcow2`]
  writeFileSync(raw, randomBytes(48 << 20))
  truncateSync(raw, diskBytes)
  await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', raw, base)
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', image)
  await qemuIo(image, 'qcow2', 'write -P 99 5M 3M', 'write -z 20M 1M', 'write -P 98 60M 100k')
  return { folder, image, socket: `${folder}/qmp` }
}

/** Pulls the whole chain into the disk of a running guest, at least three seconds long; resolves once it is done. */
async function pull(socket: string): Promise<void> {
  const monitor = await PlainMonitor.connect(socket)
  try {
    const jobId = 'pull'
    const flush = { 'command-line': 'qemu-io disk flush' }
    const byHand = { 'auto-finalize': false, 'auto-dismiss': false }
    await monitor.execute('block-stream', { 'job-id': jobId, device: 'disk', speed: 8 << 20, ...byHand })
    await monitor.untilJobIs(jobId, 'pending')
    await monitor.execute('human-monitor-command', flush)
    await monitor.execute('job-finalize', { id: jobId })
    await monitor.untilJobIs(jobId, 'concluded')
    expect(await monitor.execute('query-jobs')).toEqual([expect.not.objectContaining({ error: expect.anything() })])
    await monitor.execute('human-monitor-command', flush)
    await monitor.execute('job-dismiss', { id: jobId })
  } finally {
    monitor.close()
  }
}

test('a guest that writes throughout a pull reads its own bytes, and the host reads the same', async () => {
  const { folder, image, socket } = await makeDisk()
  const guest = await start({ folder, disk: image, qmpSockets: [socket] })
  expect(await guest.remember()).toBe(diskBytes / 4096)
  await guest.write(1, 100)
  await guest.startLoop(2, 5)
  await pull(socket)
  const report = await guest.stopLoop()
  console.log(`during the pull: ${report.writes} writes, ${report.bytesWritten >> 20} MiB, ${report.milliseconds} ms`)
  expect(report.writes).toBeGreaterThan(100)
  expect(await guest.verify()).toBe(diskBytes / 4096)
  const seenByGuest = await guest.sum()
  await guest.powerOff()

  expect(await check(image)).toMatchObject({ code: 0 })
  expect((await info(image))['backing-filename']).toBeUndefined()
  await flatten(image, `${folder}/flat.raw`)
  expect(digestOf(`${folder}/flat.raw`)).toBe(seenByGuest)
})

test('a guest notices one block that changed without it, and the end of QEMU', async () => {
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
