// SPDX-License-Identifier: Apache-2.0
//
// Files that end early, and strings and streams that end late. What `qemu-img check` finds nothing wrong with is read
// as QEMU reads it: behind the end of a file that ends inside a table or a cluster are zeros.

import { copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { pulled } from '../support/images/stream-case.js'
import { check, difference, flatten, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('short')
afterAll(() => temp.remove())

const cluster = 65536

/** An overlay of 4 MiB over 1 MiB of data, written to by these commands. */
async function overlay(...io: readonly string[]): Promise<string> {
  const folder = temp.folder()
  const path = join(folder, 'short')
  await qemuImg('create', '-q', '-f', 'qcow2', join(folder, 'deep'), '4M')
  await qemuIo(join(folder, 'deep'), 'qcow2', 'write -P 9 0 1M')
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'deep', '-F', 'qcow2', path)
  if (io.length > 0) await qemuIo(path, 'qcow2', ...io)
  return path
}

/** Pulls it, and an image over it; both must read as QEMU reads it now. */
async function expectPulledAsRead(path: string): Promise<void> {
  const flat = `${path}.raw`
  expect((await check(path)).code, 'what QEMU finds wrong').toBe(0)
  await flatten(path, flat)
  const over = `${path}.over`
  copyFileSync(path, `${path}.kept`)
  await qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', 'short.kept', '-F', 'qcow2', over, '4M')
  for (const image of [path, over]) {
    await pulled(image)
    expect(await difference(flat, image)).toBeNull()
    expect((await check(image)).code).toBe(0)
  }
}

/** Rewrites the file by its bytes. */
function edit(path: string, change: (bytes: Buffer) => Buffer): void {
  writeFileSync(path, change(readFileSync(path)))
}

describe('a file that ends inside', () => {
  test('a data cluster', async () => {
    const path = await overlay('write -P 5 2M 64k')
    truncateSync(path, statSync(path).size - cluster + 512)
    await expectPulledAsRead(path)
  })

  test('the L1 table, or at its start', async () => {
    const path = await overlay()
    truncateSync(path, 3 * cluster)
    await expectPulledAsRead(path)
  })

  test.each([512, 8, 1])('an L2 table, %i bytes into it', async (length) => {
    const path = await overlay('write -z 0 64k')
    truncateSync(path, 4 * cluster + length)
    await expectPulledAsRead(path)
  })

  test('a refcount block', async () => {
    const path = await overlay()
    edit(path, (image) => {
      const bytes = Buffer.concat([image, Buffer.alloc(4 * cluster - image.length)])
      const table = Number(bytes.readBigUInt64BE(48))
      const block = Number(bytes.readBigUInt64BE(table))
      const counts = Buffer.from(bytes.subarray(block, block + cluster))
      counts.writeUInt16BE(1, 4 * 2)
      counts.writeUInt16BE(0, (block / cluster) * 2)
      bytes.writeBigUInt64BE(BigInt(4 * cluster), table)
      return Buffer.concat([bytes, counts.subarray(0, 512)])
    })
    await expectPulledAsRead(path)
  })

  test('the table of snapshots, of a layer', async () => {
    const path = await overlay('write -P 5 2M 64k')
    await qemuImg('snapshot', '-c', 'early', path)
    truncateSync(path, statSync(path).size - 2)
    expect((await check(path)).code).toBe(0)
    await flatten(path, `${path}.raw`)
    const over = `${path}.over`
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'short', '-F', 'qcow2', over)
    await pulled(over)
    expect(await difference(`${path}.raw`, over)).toBeNull()
  })
})

test('an L2 table beyond the end of the file is refused, as in QEMU', async () => {
  const path = await overlay('write -z 0 64k')
  truncateSync(path, 4 * cluster)
  expect((await check(path)).code).toBe(2)
  await expect(pulled(path)).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' })
})

test('zero bytes at the end of a stored name and format end them', async () => {
  const path = await overlay('write -P 5 2M 64k')
  edit(path, (bytes) => {
    const name = Number(bytes.readBigUInt64BE(8))
    expect(bytes.subarray(name, name + 5).toString()).toBe('deep\0')
    bytes.writeUInt32BE(6, 16)
    const format = bytes.indexOf(Buffer.from('e2792aca', 'hex'))
    bytes.writeUInt32BE(8, format + 4)
    return bytes
  })
  await expectPulledAsRead(path)
})

/** Gives the image's only compressed cluster another stream; the sectors that it may take stay. */
function replaceStream(path: string, stream: Buffer): void {
  edit(path, (bytes) => {
    const l1 = Number(bytes.readBigUInt64BE(40))
    const l2 = Number(bytes.readBigUInt64BE(l1) & 0x00fffffffffffe00n)
    const entry = bytes.readBigUInt64BE(l2)
    const offset = Number(entry & ((1n << 54n) - 1n))
    const room = (Number((entry >> 54n) & 0xffn) + 1) * 512 - (offset % 512)
    expect(stream.length).toBeLessThanOrEqual(room)
    const image = Buffer.concat([bytes, Buffer.alloc(Math.max(0, offset + room - bytes.length))])
    stream.copy(image, offset)
    return image
  })
}

describe('a deflate stream', () => {
  const noise = Buffer.from(Array.from({ length: 3 * cluster }, (_, i) => (i * i) >> 3))

  test('that is longer than its cluster reads as its beginning', async () => {
    const path = await overlay()
    writeFileSync(`${path}.in`, noise.subarray(0, cluster))
    await qemuIo(path, 'qcow2', `write -c -s ${path}.in 0 64k`)
    replaceStream(path, deflateRawSync(Buffer.concat([Buffer.alloc(cluster, 7), Buffer.alloc(cluster, 8)])))
    await expectPulledAsRead(path)
  })

  test('that is shorter than its cluster is refused, as in QEMU', async () => {
    const path = await overlay()
    writeFileSync(`${path}.in`, noise.subarray(0, cluster))
    await qemuIo(path, 'qcow2', `write -c -s ${path}.in 0 64k`)
    replaceStream(path, deflateRawSync(Buffer.alloc(cluster - 1, 7)))
    await expect(flatten(path, `${path}.raw`)).rejects.toThrow()
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'short', '-F', 'qcow2', `${path}.over`)
    await expect(pulled(`${path}.over`)).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' })
  })
})
