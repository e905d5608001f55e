// SPDX-License-Identifier: Apache-2.0
//
// Disks that run out. A full filesystem fails the job with NO_SPACE and says how much is missing; what a guest reads
// stays the same, the image is clean, and the next pull goes on once there is space. A flush that fails is worse,
// since nobody knows then what the disk holds: it ends the job for good, without a link to what may be lost.

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { plan, pullImage } from '../../lib/index.js'
import { bytesOnDisk, digestOf } from '../support/images/files.js'
import { Judge } from '../support/images/pull-verdict.js'
import { expectRefusal } from '../support/images/refusal.js'
import { pulled } from '../support/images/stream-case.js'
import { blockpull } from '../support/processes/command.js'
import { ThinExt4, Tmpfs } from '../support/processes/mounts.js'
import { Puller } from '../support/processes/puller.js'
import { check, difference, flatten, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('full')
const base = { path: temp.file('base'), format: 'qcow2' }
const dataBytes = 24 * 1048576

beforeAll(async () => {
  await qemuImg('create', '-q', '-f', 'qcow2', base.path, '32M')
  await qemuIo(base.path, 'qcow2', `write -P 5 0 ${dataBytes / 2}`, `write -P 6 ${dataBytes / 2} ${dataBytes / 2}`)
})
afterAll(() => temp.remove())

/** An overlay of the base in a folder of another filesystem, with a little data of its own. */
async function overlay(folder: string, options: string) {
  const path = join(folder, 'top')
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, '-b', base.path, '-F', 'qcow2', path)
  await qemuIo(path, 'qcow2', 'write -P 7 1M 64k')
  return path
}

describe('a full filesystem', () => {
  const shapes = ['cluster_size=64k', 'cluster_size=512,refcount_bits=64', 'cluster_size=256k', 'compat=0.10']
  test.each(shapes)(
    'fails the job, keeps the content, and a pull after space was made completes (%s)',
    async (options) => {
      const folder = temp.folder()
      const tmpfs = await Tmpfs.mount(folder, '10m')
      try {
        const path = await overlay(tmpfs.path, options)
        const judge = await Judge.watch({ folder, layers: [{ path, format: 'qcow2' }, base] })
        const job = await pullImage(path)
        await expect(job.done).rejects.toMatchObject({ code: 'NO_SPACE', errno: 28, path, retryable: true })
        const { error } = job.outcome ?? {}
        expect(error).toHaveProperty('bytesNeeded')
        expect((error as { bytesNeeded: number }).bytesNeeded).toBeGreaterThan(dataBytes - 10 * 1048576 - 2097152)
        expect((error as { bytesNeeded: number }).bytesNeeded).toBeLessThanOrEqual(dataBytes)
        expect(await judge.complaintsMeanwhile()).toEqual([])

        await tmpfs.resize('48m')
        const { bytesMoved } = await pulled(path)
        expect(await judge.complaints(null)).toEqual([])
        expect(bytesMoved).toBeLessThan(dataBytes - 4 * 1048576)
      } finally {
        await tmpfs.unmount()
      }
    },
  )

  test('without a byte left changes nothing at all', async () => {
    const folder = temp.folder()
    const tmpfs = await Tmpfs.mount(folder, '10m')
    try {
      const path = await overlay(tmpfs.path, 'cluster_size=64k')
      const judge = await Judge.watch({ folder, layers: [{ path, format: 'qcow2' }, base] })
      await tmpfs.resize(String(bytesOnDisk(path) + 4096))
      await expect(pulled(path)).rejects.toMatchObject({ code: 'NO_SPACE' })
      expect(await judge.complaintsMeanwhile()).toEqual([])
      const { refusals } = await plan(path)
      expect(refusals).toMatchObject([{ code: 'NO_SPACE' }])
      expect(refusals[0]?.bytesNeeded).toBeGreaterThan(dataBytes - 1048576)
      const { code, stdout } = await blockpull('pull', '--json', path)
      expect(code).toBe(1)
      const lines = stdout.trim().split('\n')
      expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ event: 'end', state: 'failed', code: 'NO_SPACE' })
    } finally {
      await tmpfs.unmount()
    }
  })

  test('that is read-only is reported before anything begins', async () => {
    const tmpfs = await Tmpfs.mount(temp.folder(), '10m')
    try {
      const path = await overlay(tmpfs.path, 'cluster_size=64k')
      await tmpfs.setReadOnly()
      const sentence = /cannot be opened for writing: Read-only file system/
      await expectRefusal(path, { code: 'READ_ONLY', sentence })
      const { refusals } = await plan(path)
      expect(refusals[0]).toMatchObject({ code: 'READ_ONLY', message: expect.stringMatching(sentence) })
    } finally {
      await tmpfs.unmount()
    }
  })
})

describe('a disk that loses written data', () => {
  // Clusters of 512 bytes are written through the page cache, so that the flush is the first to know. Direct writes
  // prove nothing here: one that runs out of space in its middle is told to have succeeded by Linux's loop device.
  test.each(['io_uring', 'threads'] as const)(
    'fails the flush, and so the job for good, and nothing is linked (%s)',
    async (io) => {
      const folder = temp.folder()
      const ext4 = await ThinExt4.mount(folder)
      const puller = new Puller(io)
      try {
        const path = await overlay(ext4.path, 'cluster_size=512')
        const flat = join(folder, 'before.raw')
        await flatten(path, flat)
        await ext4.fill(6 * 1048576)
        const report = await puller.pull({ path })
        expect(report).toMatchObject({ state: 'failed', released: [] })
        expect(['IO', 'NO_SPACE']).toContain(report.code)
        expect(report.message).toMatch(/fdatasync/)

        await ext4.empty()
        expect([0, 3]).toContain((await check(path)).code)
        expect(await difference(flat, path)).toBeNull()
        expect(await puller.pull({ path })).toMatchObject({ state: 'completed', released: [base.path] })
        expect(await check(path)).toMatchObject({ code: 0 })
        expect(await difference(flat, path)).toBeNull()
        const before = digestOf(path)
        expect(await puller.pull({ path })).toMatchObject({ state: 'completed', bytesMoved: 0 })
        expect(digestOf(path)).toBe(before)
      } finally {
        await puller.close()
        await ext4.unmount()
      }
    },
  )
})
