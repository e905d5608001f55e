// SPDX-License-Identifier: Apache-2.0
//
// Writes qcow2 images without QEMU and without blockpull, for the demo and the tests: an independent reading of
// the format, so that a mistake in ours does not hide behind the same mistake here.
//
// The file is laid out in one go: header, L1 table, then L2 tables and clusters in guest order, refcount table
// and blocks at the end. What `qemu-img check` says of the result is "no errors"; images that are wrong on
// purpose are made by patching one of these, for which writeQcow2() tells where everything lies.
//
//     cluster 0   | L1 ...      | L2 | data ... | L2 | data ...   | refcount blocks ... | refcount table ...
//     header,     | contiguous  | compressed clusters are packed  | cover themselves too
//     extensions, |             | into shared host clusters       |
//     backing name
//
// Not here: internal snapshots, bitmaps, external data files, encryption; qemu-img makes those where needed.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { deflateRawSync } from 'node:zlib'
import { encodeHeader } from './qcow2-header.mjs'

export { readQcow2Options } from './qcow2-header.mjs'

/**
 * What one guest cluster holds. `data` shorter than a cluster is filled up with zeroes. `compressed` is the
 * plain content; where it does not shrink it is stored plainly, as QEMU does. The masks are of extended L2
 * alone: bit n is subcluster n, `allocated` (default all) holds `data`, `zeroes` (default none) reads as zero.
 * @typedef {{ data: Buffer, allocated?: number, zeroes?: number }
 *   | { compressed: Buffer } | { zero: true } | { zeroAllocated: true }} ClusterContent
 */

/**
 * @typedef {object} Qcow2Options
 * @property {number} size virtual size in bytes
 * @property {2 | 3} [version] default 3
 * @property {number} [clusterBits] 9 to 21, default 16
 * @property {number} [refcountBits] 1, 2, 4, ... 64, default 16; version 2 knows 16 alone
 * @property {string | undefined} [backingFile] as it shall stand in the header
 * @property {string | undefined} [backingFormat] none is written when absent
 * @property {Map<number, ClusterContent>} [clusters] by number of the guest cluster
 * @property {boolean} [lazyRefcounts] sets the compatible bit; the refcounts are accurate all the same
 * @property {boolean} [extendedL2] 32 subclusters in each cluster; clusterBits 14 and more
 * @property {{ type: number, data: Buffer }[]} [extraExtensions] header extensions, kept in order
 * @property {bigint} [incompatibleFeatures] further bits, or-ed in
 * @property {bigint} [compatibleFeatures] further bits, or-ed in
 * @property {bigint} [autoclearFeatures]
 * @property {number} [leakedClusters] clusters with refcount 1 that nothing references, at the end of the data
 * @property {Buffer | undefined} [staleFill] what zeroAllocated clusters hold on disk; default bytes of 0xEE
 */

/** @typedef {Qcow2Options & Required<Pick<Qcow2Options, 'version' | 'clusterBits' | 'refcountBits'>>} FullOptions */

/**
 * Where things lie, in bytes.
 * @typedef {object} Qcow2Layout
 * @property {number} clusterSize
 * @property {number} l1Offset
 * @property {Map<number, number>} l2Offsets L1 index -> host offset of the L2 table
 * @property {Map<number, number>} hostOffsets guest cluster -> host offset, zero clusters without one left out
 * @property {number} refcountTableOffset
 * @property {number[]} refcountBlockOffsets
 * @property {number} fileSize
 */

const copied = 1n << 63n
const compressedBit = 1n << 62n
const allSubclusters = 0xffffffff

/**
 * Writes an image, replacing the file.
 * @param {string} path
 * @param {Qcow2Options} options
 * @returns {Qcow2Layout}
 */
export function writeQcow2(path, options) {
  const image = new Builder(path, options)
  try {
    return image.write()
  } finally {
    image.close()
  }
}

class Builder {
  /** @param {string} path @param {Qcow2Options} options */
  constructor(path, options) {
    /** @type {FullOptions} */
    this.options = { version: 3, clusterBits: 16, refcountBits: 16, ...options }
    checkOptions(this.options)
    this.clusterSize = 2 ** this.options.clusterBits
    this.entrySize = options.extendedL2 ? 16 : 8
    this.clusters = options.clusters ?? new Map()
    /** Refcount of each host cluster; its length is the allocation pointer. @type {number[]} */
    this.refcounts = []
    /** Host offset at which the next compressed cluster may begin, or -1. */
    this.compressedAt = -1
    /** @type {Map<number, number>} */
    this.hostOffsets = new Map()
    this.file = openSync(path, 'w')
  }

  close() {
    closeSync(this.file)
  }

  /** @returns {Qcow2Layout} */
  write() {
    const { size } = this.options
    const entriesPerL2 = this.clusterSize / this.entrySize
    const l1Entries = Math.ceil(size / this.clusterSize / entriesPerL2)
    this.allocate(1)
    const l1Offset = this.allocate(Math.max(1, Math.ceil((l1Entries * 8) / this.clusterSize)))
    const l1 = Buffer.alloc(l1Entries * 8)
    /** @type {Map<number, number>} */
    const l2Offsets = new Map()
    for (const [l1Index, guestClusters] of this.byL2(entriesPerL2)) {
      const l2 = Buffer.alloc(this.clusterSize)
      const l2Offset = this.allocate(1)
      for (const guestCluster of guestClusters) {
        this.writeEntry(l2, (guestCluster % entriesPerL2) * this.entrySize, guestCluster)
      }
      this.put(l2, l2Offset)
      l1.writeBigUInt64BE(BigInt(l2Offset) | copied, l1Index * 8)
      l2Offsets.set(l1Index, l2Offset)
    }
    this.put(l1, l1Offset)
    if (this.options.leakedClusters) {
      this.allocate(this.options.leakedClusters)
    }
    const { tableOffset, tableClusters, blockOffsets } = this.writeRefcounts()
    this.put(encodeHeader(this.options, { l1Entries, l1Offset, tableOffset, tableClusters }), 0)
    const fileSize = this.refcounts.length * this.clusterSize
    ftruncateSync(this.file, fileSize)
    return {
      clusterSize: this.clusterSize,
      l1Offset,
      l2Offsets,
      hostOffsets: this.hostOffsets,
      refcountTableOffset: tableOffset,
      refcountBlockOffsets: blockOffsets,
      fileSize,
    }
  }

  /** The guest clusters that hold something, by L1 index, in order. @param {number} entriesPerL2 */
  byL2(entriesPerL2) {
    const last = Math.ceil(this.options.size / this.clusterSize)
    /** @type {Map<number, number[]>} */
    const tables = new Map()
    for (const guestCluster of [...this.clusters.keys()].sort((a, b) => a - b)) {
      if (guestCluster < 0 || guestCluster >= last) {
        throw new RangeError(`guest cluster ${guestCluster} lies outside an image of ${last} clusters`)
      }
      const index = Math.floor(guestCluster / entriesPerL2)
      const table = tables.get(index)
      if (table === undefined) {
        tables.set(index, [guestCluster])
      } else {
        table.push(guestCluster)
      }
    }
    return tables
  }

  /** @param {Buffer} l2 @param {number} at @param {number} guestCluster */
  writeEntry(l2, at, guestCluster) {
    const content = this.clusters.get(guestCluster) ?? { zero: true }
    let entry = 0n
    let allocated = 0
    let zeroes = 0
    if ('compressed' in content) {
      entry = this.placeCompressed(content.compressed, guestCluster)
      allocated = (entry & compressedBit) === 0n ? allSubclusters : 0
    } else if ('data' in content) {
      entry = this.placeData(content.data, guestCluster)
      zeroes = content.zeroes ?? 0
      allocated = content.allocated ?? (allSubclusters & ~zeroes) >>> 0
    } else {
      const stale = this.options.staleFill ?? Buffer.alloc(this.clusterSize, 0xee)
      entry = 'zeroAllocated' in content ? this.placeData(stale, guestCluster) : 0n
      entry |= this.options.extendedL2 ? 0n : 1n
      zeroes = allSubclusters
    }
    l2.writeBigUInt64BE(entry, at)
    if (this.options.extendedL2) {
      l2.writeUInt32BE(zeroes, at + 8)
      l2.writeUInt32BE(allocated, at + 12)
    }
  }

  /** @param {Buffer} data @param {number} guestCluster */
  placeData(data, guestCluster) {
    if (data.length > this.clusterSize) {
      throw new RangeError(`guest cluster ${guestCluster} was given ${data.length} bytes; at most ${this.clusterSize}`)
    }
    const offset = this.allocate(1)
    this.put(data, offset)
    this.hostOffsets.set(guestCluster, offset)
    return BigInt(offset) | copied
  }

  /** @param {Buffer} plain @param {number} guestCluster */
  placeCompressed(plain, guestCluster) {
    const whole = Buffer.concat([plain, Buffer.alloc(this.clusterSize - plain.length)])
    const packed = deflateRawSync(whole, { windowBits: 12 })
    if (packed.length >= this.clusterSize) {
      return this.placeData(whole, guestCluster)
    }
    const offset = this.reserveCompressed(packed.length)
    this.put(packed, offset)
    this.hostOffsets.set(guestCluster, offset)
    const sectors = Math.floor(((offset % 512) + packed.length - 1) / 512)
    const offsetBits = BigInt(62 - (this.options.clusterBits - 8))
    return compressedBit | (BigInt(sectors) << offsetBits) | BigInt(offset)
  }

  /** Bytes for a compressed cluster: behind the last one where that has room and its refcount may grow.
   * @param {number} length */
  reserveCompressed(length) {
    const size = this.clusterSize
    const current = Math.floor(this.compressedAt / size)
    const end = this.refcounts.length * size
    const isLast = this.compressedAt >= 0 && (current + 1) * size === end && this.compressedAt < end
    const canShare = isLast && (this.refcounts[current] ?? 0) < 2 ** Math.min(this.options.refcountBits, 16) - 1
    const offset = canShare ? this.compressedAt : end
    while (this.refcounts.length * size < offset + length) {
      this.refcounts.push(0)
    }
    for (let cluster = Math.floor(offset / size); cluster * size < offset + length; cluster++) {
      this.refcounts[cluster] = (this.refcounts[cluster] ?? 0) + 1
    }
    this.compressedAt = offset + length
    return offset
  }

  writeRefcounts() {
    const { refcountBits } = this.options
    const perBlock = (this.clusterSize * 8) / refcountBits
    const used = this.refcounts.length
    let blocks = 0
    let tableClusters = 0
    for (let total = used; ; ) {
      blocks = Math.ceil(total / perBlock)
      tableClusters = Math.ceil((blocks * 8) / this.clusterSize)
      if (total === used + blocks + tableClusters) {
        break
      }
      total = used + blocks + tableClusters
    }
    const firstBlock = this.allocate(blocks)
    const tableOffset = this.allocate(tableClusters)
    const blockOffsets = Array.from({ length: blocks }, (_, index) => firstBlock + index * this.clusterSize)
    const table = Buffer.alloc(tableClusters * this.clusterSize)
    blockOffsets.forEach((offset, index) => {
      table.writeBigUInt64BE(BigInt(offset), index * 8)
      const counts = this.refcounts.slice(index * perBlock, (index + 1) * perBlock)
      this.put(encodeRefcounts(counts, refcountBits, this.clusterSize), offset)
    })
    this.put(table, tableOffset)
    return { tableOffset, tableClusters, blockOffsets }
  }

  /** Contiguous clusters at the end of the file. @param {number} count @returns {number} host offset */
  allocate(count) {
    const offset = this.refcounts.length * this.clusterSize
    for (let index = 0; index < count; index++) {
      this.refcounts.push(1)
    }
    return offset
  }

  /** @param {Buffer} bytes @param {number} offset */
  put(bytes, offset) {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.file, bytes, done, bytes.length - done, offset + done)
    }
  }
}

/** @param {FullOptions} options */
function checkOptions({ version, clusterBits, refcountBits, extendedL2, clusters }) {
  if (clusterBits < 9 || clusterBits > 21) {
    throw new RangeError(`clusterBits is ${clusterBits}; supported range is 9 to 21`)
  }
  if (![1, 2, 4, 8, 16, 32, 64].includes(refcountBits)) {
    throw new RangeError(`refcountBits is ${refcountBits}; a power of two up to 64 is wanted`)
  }
  const hasZeroes = [...(clusters?.values() ?? [])].some((content) => 'zero' in content || 'zeroAllocated' in content)
  if (version === 2 && (refcountBits !== 16 || extendedL2 || hasZeroes)) {
    throw new RangeError('version 2 has 16-bit refcounts, no extended L2 and no zero clusters')
  }
  if (extendedL2 && clusterBits < 14) {
    throw new RangeError(`clusterBits is ${clusterBits}; extended L2 needs 14 or more`)
  }
}

/**
 * One refcount block. Widths below a byte are packed from the least significant bit, the others big-endian.
 * @param {number[]} counts @param {number} bits @param {number} clusterSize
 */
function encodeRefcounts(counts, bits, clusterSize) {
  const block = Buffer.alloc(clusterSize)
  counts.forEach((count, index) => {
    if (bits < 8) {
      const at = Math.floor((index * bits) / 8)
      block.writeUInt8((block.readUInt8(at) | (count << ((index * bits) % 8))) & 0xff, at)
    } else if (bits === 64) {
      block.writeBigUInt64BE(BigInt(count), index * 8)
    } else {
      block.writeUIntBE(count, (index * bits) / 8, bits / 8)
    }
  })
  return block
}
