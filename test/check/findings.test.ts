// SPDX-License-Identifier: Apache-2.0
//
// What checkImage finds, one kind of damage at a time, made by hand; and what QEMU's check does not look at.
//
// The image has clusters of 64 KiB: 2 is its refcount block, 3 its L1 table, 4 its L2 table, 5 and 6 are data.

import { appendFileSync, readFileSync, truncateSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { type CheckReport, checkImage, plan } from '../../lib/index.js'
import { bigEndian, digestOf, overwrite } from '../support/images/files.js'
import { check, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('findings')
afterAll(() => temp.remove())

const cluster = 65536
const place = { refcounts: 2 * cluster, l1: 3 * cluster, l2: 4 * cluster }
const copied = 1n << 63n

/** An image with two clusters of data. */
async function image(options = 'compat=1.1'): Promise<string> {
  const path = `${temp.folder()}/image.qcow2`
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '16M')
  await qemuIo(path, 'qcow2', 'write -P 1 0 128k')
  return path
}

/** What is found in the image once `bytes` stand at `offset`; the check itself changes nothing. */
async function found(path: string, offset: number, bytes: Uint8Array): Promise<CheckReport> {
  overwrite(path, offset, bytes)
  const before = digestOf(path)
  const report = await checkImage(path)
  expect(digestOf(path)).toBe(before)
  return report
}

const entry = (value: bigint) => bigEndian(value, 8)
const refcount = (value: number) => bigEndian(value, 4).subarray(2)

describe('an error is found, and QEMU agrees:', () => {
  test.each([
    ['a refcount of 0', place.refcounts + 2 * 5, refcount(0), 'refcount-low', 5 * cluster, /^cluster 5 has refcount 0/],
    ['an L1 entry with reserved bits', place.l1, entry(copied | 0x40001n), 'l1-entry', place.l1, /reserved bits/],
    [
      'an L1 entry without bit 63',
      place.l1,
      entry(0x40000n),
      'copied-flag',
      place.l1,
      /copied flag \(bit 63\) is wrong$/,
    ],
    ['an L2 entry with reserved bits', place.l2, entry(copied | 0x50002n), 'l2-entry', place.l2, /reserved bits/],
    ['an L2 entry between clusters', place.l2, entry(copied | 0x50200n), 'l2-entry', place.l2, /no cluster can begin/],
    ['an L2 entry without bit 63', place.l2, entry(0x50000n), 'copied-flag', place.l2, /refcount of its cluster is 1/],
    ['data behind the end', place.l2, entry(copied | 0x900000n), 'reference-outside', place.l2, /at 0x900000/],
    ['a compressed cluster with bit 63', place.l2, entry(3n * 2n ** 62n), 'copied-flag', place.l2, /compressed/],
    ['a refcount block between clusters', cluster + 8, entry(0x20200n), 'refcount-block', cluster + 8, /can begin/],
    ['a refcount block behind the end', cluster + 8, entry(0x900000n), 'refcount-block', cluster + 8, /file ends at/],
    ['a refcount block that is data', cluster + 8, entry(0x50000n), 'refcount-block', cluster + 8, /2 references/],
  ] as const)('%s', async (_, offset, bytes, code, at, message) => {
    const path = await image()
    const { errors, findings } = await found(path, offset, bytes)
    expect(errors).toBeGreaterThan(0)
    expect(findings).toContainEqual({ severity: 'error', code, offset: at, message: expect.stringMatching(message) })
    expect((await check(path)).code).toBe(2)
  })

  test('a subcluster that is both allocated and zero', async () => {
    const path = await image('extended_l2=on')
    const { findings } = await found(path, place.l2 + 8, entry((1n << 32n) | 1n))
    expect(findings).toMatchObject([{ code: 'subclusters', offset: place.l2 }])
    expect((await check(path)).code).toBe(2)
  })

  test('more references than a refcount can state', async () => {
    const path = await image('refcount_bits=1')
    const { findings } = await found(path, place.l2 + 8, entry(copied | 0x50000n))
    expect(findings).toContainEqual(expect.objectContaining({ code: 'references-too-many', offset: place.l2 + 8 }))
    expect((await check(path)).code).toBe(2)
  })

  test('in a table that only a snapshot has', async () => {
    const path = await image()
    await qemuImg('snapshot', '-c', 's', path)
    await qemuIo(path, 'qcow2', 'write -P 2 0 64k')
    const { findings } = await found(path, place.l2, entry(0x50002n))
    expect(findings).toMatchObject([{ code: 'l2-entry', offset: place.l2 }])
    expect((await check(path)).code).toBe(2)
  })

  test('a bitmap whose table leads to data', async () => {
    const path = await image()
    await qemuImg('bitmap', '--add', '--enable', path, 'b')
    await qemuIo(path, 'qcow2', 'write -P 2 1M 64k')
    const bytes = readFileSync(path)
    const extension = bytes.indexOf(bigEndian(0x23852875, 4))
    const directory = Number(bytes.readBigUInt64BE(extension + 8 + 16))
    const table = Number(bytes.readBigUInt64BE(directory))
    const { findings } = await found(path, table, entry(0x50000n))
    expect(findings.map(({ code }) => code)).toContain('refcount-low')
    expect((await check(path)).code).toBe(2)
  })
})

test('a leak is found, and is no error', async () => {
  const path = await image()
  appendFileSync(path, Buffer.alloc(cluster))
  const { errors, leaks, findings } = await found(path, place.refcounts + 2 * 7, refcount(1))
  expect({ errors, leaks }).toEqual({ errors: 0, leaks: 1 })
  const message = 'cluster 7 has refcount 1 and 0 references'
  expect(findings).toEqual([{ severity: 'leak', code: 'leak', offset: 7 * cluster, message }])
})

test('refcounts behind the last cluster of the file are not compared', async () => {
  const path = await image()
  expect(await found(path, place.refcounts + 2 * 7, refcount(1))).toMatchObject({ leaks: 0, findings: [] })
  expect((await check(path)).code).toBe(0)
})

test('at most a hundred findings of a severity are listed, and all are counted', async () => {
  const path = await image()
  const entries = Buffer.concat(Array.from({ length: 256 }, () => entry(0x50002n)))
  const { errors, findings: listed } = await found(path, place.l2, entries)
  // Reserved bits and bit 63 of each, and one refcount.
  expect(errors).toBe(256 + 256 + 1)
  expect(listed.filter(({ severity }) => severity === 'error')).toHaveLength(100)
})

test('a table that many snapshots share is read once and counts for each', async () => {
  const path = await image()
  for (let taken = 0; taken < 20; taken += 1) await qemuImg('snapshot', '-c', `s${taken}`, path)
  expect(await checkImage(path)).toMatchObject({ errors: 0, leaks: 0, snapshots: 20 })
  const { errors } = await found(path, place.l2, entry(0x50002n))
  expect(errors).toBe(21)
})

describe('noted, though QEMU does not look at it:', () => {
  test('bytes of another program behind the image', async () => {
    const path = await image()
    appendFileSync(path, 'a record of somebody else')
    const { errors, leaks, notes, findings } = await checkImage(path)
    expect({ errors, leaks, notes }).toEqual({ errors: 0, leaks: 0, notes: 1 })
    expect(findings).toMatchObject([{ severity: 'note', code: 'trailing-bytes', offset: 7 * cluster }])
    expect((await check(path)).code).toBe(0)
  })

  test('an L2 table that is used for two places of the disk', async () => {
    const path = `${temp.folder()}/image.qcow2`
    await qemuImg('create', '-q', '-f', 'qcow2', path, '2G')
    await qemuIo(path, 'qcow2', 'write -z 0 64k')
    overwrite(path, place.l1, Buffer.concat([entry(0x40000n), entry(0x40000n)]))
    const { findings } = await found(path, place.refcounts + 2 * 4, refcount(2))
    expect(findings).toMatchObject([{ severity: 'note', code: 'shared-table', offset: place.l2 }])
    expect((await check(path)).code).toBe(0)
  })
})

test('a file whose length is no multiple of 512 ends as QEMU says', async () => {
  const path = `${temp.folder()}/image.qcow2`
  await qemuImg('create', '-q', '-f', 'qcow2', path, '4M')
  truncateSync(path, 2 * cluster + 8)
  expect(await checkImage(path)).toMatchObject({ errors: 0, leaks: 0, imageEnd: 4 * cluster })
  expect((await check(path)).code).toBe(0)
})

describe('a damaged bitmap directory is an error:', () => {
  test.each([
    ['fewer bitmaps than entries', 8, 4, 1, /bytes behind its 1 bitmaps$/],
    ['two bitmaps of one name', null, 24 + 32, 0x61000000, /are named 'a'$/],
    ['a table of another length', null, 8, 5, /its disk takes 1$/],
    ['a flag that QEMU reserves', null, 12, 4, /which are not all known$/],
  ] as const)('%s', async (_, inExtension, at, value, message) => {
    const path = await image()
    for (const name of ['a', 'b']) await qemuImg('bitmap', '--add', path, name)
    const bytes = readFileSync(path)
    const extension = bytes.indexOf(bigEndian(0x23852875, 4))
    const directory = Number(bytes.readBigUInt64BE(extension + 8 + 16))
    overwrite(path, inExtension === null ? directory + at : extension + inExtension, bigEndian(value, 4))
    const { findings } = await checkImage(path)
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'bitmap', message: expect.stringMatching(message) }),
    )
    expect((await check(path)).code).toBe(1)
  })
})

describe('a small file that could make much work', () => {
  test('a hole of a TiB behind an image with compressed clusters is not read', async () => {
    const path = `${temp.folder()}/image.qcow2`
    await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', path, '64k')
    await qemuIo(path, 'qcow2', 'write -c -P 3 0 512')
    overwrite(path, 16384, Buffer.from('a record'))
    truncateSync(path, 2 ** 40 + 1)
    expect(await checkImage(path)).toMatchObject({ errors: 0, findings: [{ code: 'trailing-bytes' }] })
  })

  test('such a hole is not read by a plan either', async () => {
    const folder = temp.folder()
    const [base, path] = [`${folder}/base.qcow2`, `${folder}/top.qcow2`]
    await qemuImg('create', '-q', '-f', 'qcow2', base, '64k')
    await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', '-b', base, '-F', 'qcow2', path)
    await qemuIo(path, 'qcow2', 'write -c -P 3 0 512')
    overwrite(path, 16384, Buffer.from('a record'))
    truncateSync(path, 2 ** 40 + 1)
    expect((await plan(path)).refusals).toMatchObject([{ message: expect.stringContaining('bytes after its end') }])
  })

  test('a bitmap over the bound that QEMU has is an error, and its table is not walked', async () => {
    const path = await image()
    await qemuImg('bitmap', '--add', path, 'a')
    const bytes = readFileSync(path)
    const directory = Number(bytes.readBigUInt64BE(bytes.indexOf(bigEndian(0x23852875, 4)) + 8 + 16))
    overwrite(path, directory + 8, bigEndian(2 ** 16, 4))
    truncateSync(path, 2 ** 21)
    const { findings } = await checkImage(path)
    const message = expect.stringMatching(/has 65536 clusters of 65536 bytes; the limit is 536870912 bytes$/)
    expect(findings).toContainEqual(expect.objectContaining({ code: 'bitmap', message }))
  })
})

describe('not completed:', () => {
  test('a header whose L1 table lies behind the end', async () => {
    const path = await image()
    overwrite(path, 40, entry(0x900000n))
    await expect(checkImage(path)).rejects.toMatchObject({ code: 'IMAGE_CORRUPT', path })
  })

  test('a raw image, and a file without a known magic', async () => {
    const path = await image()
    await expect(checkImage(path, { format: 'raw' })).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' })
    overwrite(path, 0, Buffer.alloc(4))
    await expect(checkImage(path)).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' })
  })

  test('a check that is aborted', async () => {
    const path = await image()
    await expect(checkImage(path, { signal: AbortSignal.abort() })).rejects.toThrow(/aborted/)
  })
})
