// SPDX-License-Identifier: Apache-2.0
//
// QEMU's tests of the qcow2 format itself, as far as a pull meets it: tables that grow, refcounts of every width,
// compressed clusters and subclusters to read, header extensions to keep. Each title begins with the number of
// QEMU's test. Images that no tool of QEMU makes come from the builder.

import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { bigEndian, overwrite } from '../support/images/files.js'
import { type ClusterContent, type Qcow2Options, writeQcow2 } from '../support/images/qcow2-builder.mjs'
import { type CaseChain, chainOf, makeChain, pathAt, pulled, pullWell } from '../support/images/stream-case.js'
import { check, info, qemuImg, qemuIo, tryQemuIo } from '../support/qemu/qemu.js'
import { Random } from '../support/random.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('structure')
afterAll(() => temp.remove())

/** A base by the builder under an overlay by QEMU. */
async function overBuilt(base: Qcow2Options, overlay = 'cluster_size=64k'): Promise<CaseChain> {
  const folder = temp.folder()
  writeQcow2(`${folder}/base`, base)
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', overlay, '-b', 'base', '-F', 'qcow2', `${folder}/top`)
  return chainOf(folder, 'top', 'base')
}

describe('runs', () => {
  /** Every kind of cluster next to every kind, once. */
  const kinds = ['data', 'zero', 'zeroAllocated', 'nothing', 'compressed', 'dataElsewhere'] as const
  const order = [...new Array(kinds.length ** 2).keys()].flatMap((pair) => [
    kinds[Math.floor(pair / kinds.length)] ?? 'data',
    kinds[pair % kinds.length] ?? 'data',
  ])

  test.each([[null], [2]])('073: every transition between kinds of clusters is seen (base %s)', async (base) => {
    const content = new Map<number, ClusterContent>()
    order.forEach((kind, at) => {
      const bytes = Buffer.alloc(65536, `${kind} ${at}`)
      if (kind === 'data') content.set(at, { data: bytes })
      else if (kind === 'compressed') content.set(at, { compressed: bytes })
      else if (kind === 'zero') content.set(at, { zero: true })
      else if (kind === 'zeroAllocated') content.set(at, { zeroAllocated: true })
    })
    const size = order.length * 65536
    const folder = temp.folder()
    await qemuImg('create', '-q', '-f', 'qcow2', `${folder}/base`, String(size))
    await qemuIo(`${folder}/base`, 'qcow2', `write -P 77 0 ${size / 2}`)
    writeQcow2(`${folder}/mid`, { size, clusters: content, backingFile: 'base', backingFormat: 'qcow2' })
    // Written last and from the end, these do not lie behind their neighbours.
    const elsewhere = order.flatMap((kind, at) => (kind === 'dataElsewhere' ? [at] : [])).reverse()
    await qemuIo(`${folder}/mid`, 'qcow2', ...elsewhere.map((at) => `write -P 200 ${at * 65536} 64k`))
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'mid', '-F', 'qcow2', `${folder}/top`)
    await pullWell(chainOf(folder, 'top', 'mid', 'base'), base)
  })
})

describe('tables that grow', () => {
  test('107: an L1 table of several clusters is filled in', async () => {
    const io = Array.from({ length: 32 }, (_, place) => `write -P ${place + 1} ${place * 1048576} 512`)
    await pullWell(await makeChain(temp.folder(), { size: '32M', io }, { size: '32M', options: 'cluster_size=512' }))
  })

  test.each([
    [16, 'cluster_size=512,refcount_bits=16'],
    [64, 'cluster_size=512,refcount_bits=64'],
    [1, 'cluster_size=512,refcount_bits=1'],
    [64, 'cluster_size=1024,refcount_bits=64'],
  ])('121 and 115: the refcount table grows, describing itself (%i bits, %s)', async (_bits, options) => {
    const chain = await makeChain(temp.folder(), { size: '12M', io: ['write -P 3 0 12M'] }, { size: '12M', options })
    await pullWell(chain)
    await qemuIo(chain.top, 'qcow2', 'read -P 3 0 12M', 'write -P 4 0 12M')
    expect(await check(chain.top)).toMatchObject({ code: 0 })
  })

  test('121: a refcount table that is full to its last entry grows by the pull', async () => {
    const folder = temp.folder()
    // One block of 512 bytes covers 64 clusters, one table cluster 64 blocks: 4096 clusters, of which all are taken.
    const size = 8388608
    const clusters = new Map<number, ClusterContent>()
    for (let at = 0; at < 3900; at++) clusters.set(at, { data: Buffer.alloc(512, at) })
    writeQcow2(`${folder}/top`, {
      size,
      clusterBits: 9,
      refcountBits: 64,
      clusters,
      backingFile: 'base',
      backingFormat: 'raw',
    })
    await qemuImg('create', '-q', '-f', 'raw', `${folder}/base`, String(size))
    await qemuIo(`${folder}/base`, 'raw', `write -P 5 0 ${size}`)
    const layers = [
      { path: `${folder}/top`, format: 'qcow2' },
      { path: `${folder}/base`, format: 'raw' },
    ]
    await pullWell({ folder, layers, top: `${folder}/top` })
  })

  test.each([1, 2, 4, 8, 16, 32, 64])('112: refcounts of %i bits', async (bits) => {
    for (const clusterSize of ['512', '64k']) {
      const chain = await makeChain(
        temp.folder(),
        { size: '3M', io: ['write -P 1 100k 2M'] },
        { size: '3M', options: `cluster_size=${clusterSize},refcount_bits=${bits}`, io: ['write -P 2 1M 100k'] },
      )
      await pullWell(chain)
      expect((await info(chain.top))['format-specific']?.data['refcount-bits']).toBe(bits)
    }
  })
})

describe('leaks', () => {
  test('millions of them, more than any crash leaves, take no memory or time each', async () => {
    const folder = temp.folder()
    const blocks = 40
    const link = { backingFile: 'base', backingFormat: 'qcow2' }
    await makeChain(folder, { name: 'base', size: '1M', io: ['write -P 1 0 1M'] })
    const layout = writeQcow2(`${folder}/top`, { size: 1048576, refcountBits: 1, leakedClusters: 8, ...link })
    // Further refcount blocks behind all else, every other refcount of theirs a leak; the first block counts them.
    const first = layout.fileSize / 65536
    for (let block = 0; block < blocks; block++) {
      const offset = (first + block) * 65536
      overwrite(`${folder}/top`, layout.refcountTableOffset + 8 * (block + 1), bigEndian(offset, 8))
      overwrite(`${folder}/top`, offset, Buffer.alloc(65536, 0x55))
    }
    const counted = Buffer.alloc(Math.ceil((first + blocks) / 8), 0xff)
    counted[counted.length - 1] = 0xff >> (8 * counted.length - first - blocks)
    overwrite(`${folder}/top`, layout.refcountBlockOffsets[0] ?? 0, counted)

    const before = process.memoryUsage().rss
    await pullWell(chainOf(folder, 'top', 'base'))
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1048576)
    // Some leaks are taken back, in order, and the rest is left as it was.
    const after = readFileSync(`${folder}/top`)
    expect(after[first * 65536]).toBe(0)
    expect(after[(first + blocks - 1) * 65536]).toBe(0x55)
  })
})

describe('what lower layers may contain', () => {
  test.each(['zlib', 'zstd'])('287: %s clusters, incompressible ones among them, are unpacked', async (type) => {
    const random = new Random(`287/${type}`)
    const chain = await makeChain(temp.folder(), { format: 'raw', size: '4M' }, { size: '4M' })
    const raw = Buffer.alloc(4 * 1048576)
    for (let at = 0; at < raw.length; at++) raw[at] = at % 262144 < 131072 ? random.below(256) : at >> 10
    overwrite(pathAt(chain, 1), 0, raw)
    const options = `compression_type=${type}`
    await qemuImg('convert', '-c', '-O', 'qcow2', '-o', options, pathAt(chain, 1), `${chain.folder}/packed`)
    await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', 'packed', '-F', 'qcow2', chain.top)
    await pullWell(chainOf(chain.folder, 'layer1', 'packed'))
  })

  test.each(['512', '4k', '64k', '2M'])(
    '214, 220 and 053: compressed clusters of %s, the last one partial',
    async (size) => {
      for (const virtualSize of [512, 66048, 4195328]) {
        const folder = temp.folder()
        await qemuImg('create', '-q', '-f', 'raw', `${folder}/raw`, String(virtualSize))
        await qemuIo(`${folder}/raw`, 'raw', `write -P 6 0 ${virtualSize}`)
        await qemuImg('convert', '-c', '-O', 'qcow2', '-o', `cluster_size=${size}`, `${folder}/raw`, `${folder}/packed`)
        await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'packed', '-F', 'qcow2', `${folder}/top`)
        const { bytesMoved } = await pullWell(chainOf(folder, 'top', 'packed'))
        expect(bytesMoved).toBe(virtualSize)
      }
    },
  )

  test.each(['64k', '4k', '2M'])(
    '271: every placement of subclusters is read (top clusters of %s)',
    async (clusterSize) => {
      const io: string[] = []
      for (let cluster = 0; cluster < 32; cluster++) {
        const at = cluster * 65536
        const start = at + (cluster % 8) * 4096
        io.push(`write -P ${cluster + 1} ${start} ${2048 * (1 + (cluster % 24))}`)
        if (cluster % 3 === 0) io.push(`write -z ${start + 2048} 2048`)
        if (cluster % 5 === 0) io.push(`write -z -u ${start + 6144} 4096`)
        if (cluster % 7 === 0) io.push(`discard ${at} 65536`)
        if (cluster % 11 === 0) io.push(`write -c -P 99 ${at} 65536`)
        if (cluster % 13 === 0) io.push(`discard ${start} 2048`)
      }
      const chain = await makeChain(
        temp.folder(),
        { size: '2M', io: ['write -P 200 0 1M'] },
        { size: '2M', options: 'extended_l2=on' },
        { size: '2M', options: `cluster_size=${clusterSize}` },
      )
      await tryQemuIo(pathAt(chain, 1), 'qcow2', ...io)
      await pullWell(chain)
    },
  )

  test('271: alternating subclusters, the finest there are', async () => {
    const clusters = new Map<number, ClusterContent>([
      [0, { data: Buffer.alloc(16384, 0x61), allocated: 0x55555555, zeroes: 0x88888888 }],
      [1, { data: Buffer.alloc(16384, 0x62), allocated: 0x80000001, zeroes: 0x7ffffffe }],
      [2, { data: Buffer.alloc(16384, 0x63), allocated: 1, zeroes: 0 }],
      [3, { zeroAllocated: true }],
      [4, { compressed: Buffer.alloc(16384, 0x64) }],
    ])
    await pullWell(await overBuilt({ size: 131072, clusterBits: 14, extendedL2: true, clusters }))
  })

  test('261 and 217: internal snapshots below are no obstacle', async () => {
    const chain = await makeChain(temp.folder(), { size: '1M', io: ['write -P 1 0 512k'] }, { size: '1M' })
    for (const name of ['one', 'a snapshot with a longer name', 'three']) {
      await qemuImg('snapshot', '-c', name, pathAt(chain, 1))
      await qemuIo(pathAt(chain, 1), 'qcow2', `write -P ${name.length} 64k 128k`)
    }
    await pullWell(chain)
  })

  test('257: bitmaps below are no obstacle', async () => {
    const chain = await makeChain(temp.folder(), { size: '1M', io: ['write -P 1 0 512k'] }, { size: '1M' })
    await qemuImg('bitmap', '--add', pathAt(chain, 1), 'b0')
    await qemuIo(pathAt(chain, 1), 'qcow2', 'write -P 2 64k 64k')
    await pullWell(chain)
  })

  test('039: a layer below that was not closed (the dirty bit) is read', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '1M', options: 'lazy_refcounts=on', io: ['write -P 1 0 512k'] },
      { size: '1M' },
    )
    overwrite(pathAt(chain, 1), 72, bigEndian(1, 8))
    await pullWell(chain)
  })

  test('272 and 013: compressed clusters of the active image itself stay as they are', async () => {
    const top = { size: '1M', io: ['write -c -P 7 0 64k', 'write -c -P 8 128k 64k'] }
    const chain = await makeChain(temp.folder(), { size: '1M', io: ['write -P 1 0 1M'] }, top)
    await pullWell(chain)
    await qemuIo(chain.top, 'qcow2', 'read -P 7 0 64k', 'read -P 1 64k 64k', 'read -P 8 128k 64k')
    const report = JSON.parse(await qemuImg('check', '--output=json', '-f', 'qcow2', chain.top))
    expect(report).toMatchObject({ 'allocated-clusters': 16, 'compressed-clusters': 2 })
  })
})

describe('headers', () => {
  test('031: unknown header extensions and compatible bits survive the pull', async () => {
    const extraExtensions = [{ type: 0x12345678, data: Buffer.from('This is a test header extension') }]
    const folder = temp.folder()
    await makeChain(folder, { name: 'base', size: '1M', io: ['write -P 1 0 512k'] })
    await makeChain(folder, { name: 'mid', size: '1M' })
    await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', `${folder}/mid`)
    const common = { size: 1048576, extraExtensions, compatibleFeatures: 1n << 40n, backingFormat: 'qcow2' }
    for (const base of [null, 2]) {
      writeQcow2(`${folder}/top`, { ...common, backingFile: 'mid' })
      await pullWell(chainOf(folder, 'top', 'mid', 'base'), base)
      const header = readFileSync(`${folder}/top`).subarray(0, 65536)
      expect(header.includes('This is a test header extension')).toBe(true)
      expect(header.readBigUInt64BE(80) & (1n << 40n)).toBe(1n << 40n)
    }
  })

  test('036: unknown autoclear bits are cleared, since their writer cannot know of the pull', async () => {
    const folder = temp.folder()
    await makeChain(folder, { name: 'base', size: '1M', io: ['write -P 1 0 512k'] })
    const autoclearFeatures = 1n << 55n
    writeQcow2(`${folder}/top`, { size: 1048576, autoclearFeatures, backingFile: 'base', backingFormat: 'qcow2' })
    await pullWell(chainOf(folder, 'top', 'base'))
    expect(readFileSync(`${folder}/top`).readBigUInt64BE(88)).toBe(0n)
  })

  test('130: a pull that is aborted leaves the backing file in the header as it was written', async () => {
    const chain = await makeChain(temp.folder(), { size: '1M', io: ['write -P 1 0 1M'] }, { size: '1M' })
    await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', './layer0', '-F', 'qcow2', chain.top)
    const signal = AbortSignal.timeout(50)
    await expect(pulled(chain.top, { bytesPerSecond: 65536, signal })).rejects.toThrow('aborted')
    expect(await info(chain.top)).toMatchObject({ 'backing-filename': './layer0', 'backing-filename-format': 'qcow2' })
    await pullWell(chain)
  })

  test('a header of version 2 without room for an end mark still opens without its backing file', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '1M', io: ['write -P 1 0 512k'] },
      { size: '1M', options: 'compat=0.10,cluster_size=512' },
    )
    await pullWell(chain)
  })
})
