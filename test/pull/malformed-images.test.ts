// SPDX-License-Identifier: Apache-2.0
//
// Damaged images as the active one: a header or a table with one field poked. A pull must refuse them before its
// first write, since what it would allocate or link might lie over something that is in use. The cases are QEMU's
// iotests 060 and 080 and what the format forbids; a valid image by the builder is the ground of each.

import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { digestImage, inspectChain } from '../../lib/index.js'
import { bigEndian, overwrite } from '../support/images/files.js'
import {
  type ClusterContent,
  type Qcow2Layout,
  type Qcow2Options,
  writeQcow2,
} from '../support/images/qcow2-builder.mjs'
import { expectRefusal } from '../support/images/refusal.js'
import { makeChain, pulled } from '../support/images/stream-case.js'
import { qemuImg } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('malformed')
afterAll(() => temp.remove())

const copied = 1n << 63n

/** An overlay of 64 MiB that holds three clusters and a preallocated zero cluster, over a small base. */
async function valid(more: Partial<Qcow2Options> = {}): Promise<{ path: string; layout: Qcow2Layout }> {
  const folder = temp.folder()
  await makeChain(folder, { name: 'base', size: '1M', io: ['write -P 1 0 1M'] })
  const clusters = new Map<number, ClusterContent>([
    [2, { data: Buffer.alloc(65536, 2) }],
    [3, { data: Buffer.alloc(65536, 3) }],
    [4, { data: Buffer.alloc(65536, 4) }],
  ])
  if (more.version !== 2) clusters.set(5, { zeroAllocated: true })
  const path = `${folder}/top`
  const layout = writeQcow2(path, { size: 67108864, backingFile: 'base', backingFormat: 'qcow2', clusters, ...more })
  return { path, layout }
}

test('the unmodified image of these tests can be pulled', async () => {
  for (const version of [2, 3] as const) {
    const { path } = await valid({ version })
    expect(await pulled(path)).toMatchObject({ state: 'completed', bytesMoved: 1048576 - 65536 * (version + 1) })
  }
})

test('a table that names another one twice is not walked', async () => {
  const { path } = await makeChainOfTwoTables()
  const sentence = /names the L2 table at 0x[0-9a-f]+ more than once/
  await expectRefusal(path, { code: 'IMAGE_CORRUPT', sentence })
  await expect(inspectChain(path)).rejects.toThrow(sentence)
  await expect(digestImage(path)).rejects.toThrow(sentence)
})

/** An overlay over an image of 1 GiB, both of whose L1 entries name the same table. */
async function makeChainOfTwoTables(): Promise<{ path: string }> {
  const folder = temp.folder()
  const writes = ['write -P 1 0 64k', 'write -P 2 512M 64k']
  const { top } = await makeChain(folder, { name: 'base', size: '1G', io: writes }, { name: 'top', size: '1G' })
  const base = `${folder}/base`
  const file = openSync(base, 'r+')
  const number = Buffer.alloc(8)
  readSync(file, number, 0, 8, 40)
  const table = Number(number.readBigUInt64BE())
  readSync(file, number, 0, 8, table)
  writeSync(file, number, 0, 8, table + 8)
  closeSync(file)
  return { path: top }
}

describe('a header with', () => {
  const corrupt: [title: string, offset: number, value: bigint | number, length: 4 | 8, sentence: RegExp][] = [
    ['clusters too small', 20, 8, 4, /cluster_bits is 8 in '.*'/],
    ['clusters too large', 20, 22, 4, /cluster_bits is 22 in '.*'/],
    ['a length too short', 100, 100, 4, /header_length is 100/],
    ['a length beyond its cluster', 100, 65544, 4, /header_length is 65544/],
    ['the greatest length', 100, 0xffffffff, 4, /header_length is 4294967295/],
    ['a backing name at the end of all offsets', 8, 2n ** 64n - 1n, 8, /backing file name of '.*' begins at/],
    ['a backing name behind its cluster', 8, 65537, 8, /backing file name of '.*' begins at 65537/],
    ['a backing name too long', 16, 1024, 4, /has 1024/],
    ['the longest backing name', 16, 0xffffffff, 4, /has 4294967295/],
    ['an extension that is longer than its area', 116, 0x7fffffff, 4, /header extension at/],
    ['a refcount order too high', 96, 7, 4, /refcount_order is 7/],
    ['no refcount table', 56, 0, 4, /refcount table of '.*' has 0/],
    ['a refcount table too large', 56, 129, 4, /refcount table of '.*' has 8454144 bytes/],
    ['the largest refcount table', 56, 0xffffffff, 4, /refcount table/],
    ['a refcount table at an odd place', 48, 65537, 8, /refcount table of '.*' begins at 65537/],
    ['a refcount table at the end of all offsets', 48, 0xffffffffffff0000n, 8, /refcount table/],
    ['too many snapshots', 60, 65537, 4, /has 65537/],
    ['snapshots at an odd place', 64, 513, 8, /snapshot table of '.*' begins at 513/],
    ['an L1 table that is too short', 36, 0, 4, /L1 table of '.*' has 0/],
    ['an L1 table that is too long', 36, 4194305, 4, /L1 table of '.*' has 33554440 bytes/],
    ['an L1 table longer than the file', 36, 4194304, 4, /L1 table/],
    ['an L1 table at an odd place', 40, 513, 8, /L1 table of '.*' begins at 513/],
    ['an L1 table behind all files', 40, 0x7fffffffffff0000n, 8, /L1 table/],
    ['the greatest size', 24, 2n ** 64n - 512n, 8, /virtual size is 18446744073709551104/],
    ['a size beyond its L1 table', 24, 2n ** 40n, 8, /L1 table of '.*' has 1/],
  ]
  test.each(corrupt)('%s is corrupt', async (_title, offset, value, length, sentence) => {
    const { path } = await valid()
    overwrite(path, offset, bigEndian(value, length))
    await expectRefusal(path, { code: 'IMAGE_CORRUPT', sentence })
  })

  test.each([
    ['version 1', 4, 1, 4, /version 1/],
    ['version 4', 4, 4, 4, /version 4/],
    ['encryption that nobody knows', 32, 7, 4, /encryption method 7/],
    ['an incompatible feature in the last bit', 72, 2n ** 63n, 8, /feature/],
  ] as const)('%s is not supported', async (_title, offset, value, length, sentence) => {
    const { path } = await valid()
    overwrite(path, offset, bigEndian(value, length))
    await expectRefusal(path, { code: 'FEATURE_UNSUPPORTED', sentence })
  })

  test('a file with another magic is not a qcow2 image', async () => {
    const { path } = await valid()
    overwrite(path, 0, Buffer.from('QFI\0'))
    await expectRefusal(path, { code: 'FORMAT_UNKNOWN', sentence: /is not a qcow2 image/ })
  })
})

describe('tables with', () => {
  type Poke = (layout: Qcow2Layout) => readonly [offset: number, entry: bigint]
  const l1 = (layout: Qcow2Layout) => layout.l1Offset
  const l2 = (layout: Qcow2Layout, cluster: number) => (layout.l2Offsets.get(0) ?? 0) + 8 * cluster
  const host = (layout: Qcow2Layout, cluster: number) => BigInt(layout.hostOffsets.get(cluster) ?? 0)
  const block = (layout: Qcow2Layout) => layout.refcountBlockOffsets[0] ?? 0

  const pokes: readonly [title: string, poke: Poke][] = [
    ['an L1 entry at an odd place', (at) => [l1(at), copied | 0x42a00n]],
    ['an L1 entry behind the file', (at) => [l1(at), copied | 0x7fff0000n]],
    ['an L1 entry with reserved bits', (at) => [l1(at), copied | BigInt(l2(at, 0)) | 1n]],
    ['an L1 entry that leads to the L1 table', (at) => [l1(at), copied | BigInt(at.l1Offset)]],
    ['an L1 entry that leads to the header', (at) => [l1(at), copied]],
    ['an L2 entry at an odd place', (at) => [l2(at, 2), copied | (host(at, 2) + 512n)]],
    ['a zero cluster with an odd place', (at) => [l2(at, 5), copied | (host(at, 5) + 512n) | 1n]],
    ['an L2 entry with reserved bits', (at) => [l2(at, 2), copied | host(at, 2) | 4n]],
    ['an L2 entry that leads to the header', (at) => [l2(at, 2), copied]],
    ['an L2 entry that leads to the L1 table', (at) => [l2(at, 2), copied | BigInt(at.l1Offset)]],
    ['an L2 entry that leads to its own table', (at) => [l2(at, 2), copied | BigInt(l2(at, 0))]],
    ['an L2 entry that leads to the refcount table', (at) => [l2(at, 2), copied | BigInt(at.refcountTableOffset)]],
    ['an L2 entry that leads to a refcount block', (at) => [l2(at, 2), copied | BigInt(block(at))]],
    ['two L2 entries that lead to one cluster', (at) => [l2(at, 2), copied | host(at, 3)]],
    ['an L2 entry behind what the refcounts cover', (at) => [l2(at, 2), copied | (1n << 50n)]],
    ['a refcount block at an odd place', (at) => [at.refcountTableOffset, BigInt(block(at)) + 512n]],
    ['a refcount block behind the file', (at) => [at.refcountTableOffset, 0x7fff0000n]],
    ['no refcount block at all', (at) => [at.refcountTableOffset, 0n]],
    ['refcounts of 0 for the header and its neighbours', (at) => [block(at), 0n]],
  ]
  test.each(pokes)('%s are corrupt', async (_title, poke) => {
    const { path, layout } = await valid()
    const [offset, entry] = poke(layout)
    overwrite(path, offset, bigEndian(entry, 8))
    await expectRefusal(path, { code: 'IMAGE_CORRUPT', sentence: /(qemu-img|blockpull) check|damaged|corrupt|must/ })
  })

  test('a zero cluster in version 2 are corrupt', async () => {
    const { path, layout } = await valid({ version: 2 })
    overwrite(path, l2(layout, 2), bigEndian(copied | host(layout, 2) | 1n, 8))
    await expectRefusal(path, { code: 'IMAGE_CORRUPT', sentence: /an L2 entry is/ })
  })

  test('a zero cluster in version 2, with an internal snapshot, are corrupt', async () => {
    const { path, layout } = await valid({ version: 2 })
    await qemuImg('snapshot', '-c', 's1', path)
    overwrite(path, l2(layout, 5), bigEndian(1n, 8))
    await expectRefusal(path, { code: 'IMAGE_CORRUPT', sentence: /zero cluster, which version 2 does not have/ })
  })

  test('a refcount of 0 for one data cluster are corrupt', async () => {
    const { path, layout } = await valid()
    overwrite(path, block(layout) + 2 * Number(host(layout, 3) / 65536n), Buffer.alloc(2))
    await expectRefusal(path, { code: 'IMAGE_CORRUPT', sentence: /is in use but has refcount 0/ })
  })

  test('a refcount of 1 for two compressed clusters are corrupt', async () => {
    const folder = temp.folder()
    const writes = ['write -c -P 1 0 64k', 'write -c -P 2 64k 64k']
    const chain = await makeChain(
      folder,
      { name: 'base', size: '1M', io: ['write -P 3 0 1M'] },
      { name: 'top', size: '1M', io: writes },
    )
    const file = readFileSync(chain.top)
    const block = Number(file.readBigUInt64BE(Number(file.readBigUInt64BE(48))))
    const shared = Array.from({ length: 32 }, (_, cluster) => block + 2 * cluster).filter(
      (at) => file.readUInt16BE(at) === 2,
    )
    expect(shared).toHaveLength(1)
    overwrite(chain.top, Number(shared[0]), Buffer.from([0, 1]))
    await expectRefusal(chain.top, { code: 'IMAGE_CORRUPT', sentence: /is in use but has refcount 1/ })
  })
})
