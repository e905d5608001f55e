// SPDX-License-Identifier: Apache-2.0
//
// The first cluster of a qcow2 image, written for the builder and read back from images made elsewhere.
// Only what a builder needs: nothing is validated as a hostile image would have to be.

import { closeSync, openSync, readSync } from 'node:fs'

/** @typedef {import('./qcow2-builder.mjs').Qcow2Options} Qcow2Options */
/** @typedef {import('./qcow2-builder.mjs').FullOptions} FullOptions */

const backingFormatExtension = 0xe2792aca

/**
 * The options of an existing image, clusters left out, so that an empty image made elsewhere can be written
 * anew with content: `writeQcow2(path, { ...readQcow2Options(path), clusters })`.
 * @param {string} path
 * @returns {Qcow2Options}
 */
export function readQcow2Options(path) {
  const file = openSync(path, 'r')
  const head = Buffer.alloc(64 * 1024)
  try {
    readSync(file, head, 0, head.length, 0)
  } finally {
    closeSync(file)
  }
  if (head.readUInt32BE(0) !== 0x514649fb) {
    throw new Error(`'${path}' is not a qcow2 image`)
  }
  const version = head.readUInt32BE(4) === 2 ? 2 : 3
  const nameAt = Number(head.readBigUInt64BE(8))
  const backingFile = nameAt === 0 ? undefined : head.toString('utf8', nameAt, nameAt + head.readUInt32BE(16))
  return {
    size: Number(head.readBigUInt64BE(24)),
    version,
    clusterBits: head.readUInt32BE(20),
    refcountBits: version === 2 ? 16 : 1 << head.readUInt32BE(96),
    lazyRefcounts: version === 3 && (head.readBigUInt64BE(80) & 1n) !== 0n,
    backingFile,
    backingFormat: readBackingFormat(head, version === 2 ? 72 : head.readUInt32BE(100)),
  }
}

/** @param {Buffer} head @param {number} from @returns {string | undefined} */
function readBackingFormat(head, from) {
  for (let at = from; at + 8 <= head.length; ) {
    const type = head.readUInt32BE(at)
    const length = head.readUInt32BE(at + 4)
    if (type === backingFormatExtension) {
      return head.toString('utf8', at + 8, at + 8 + length)
    }
    if (type === 0) {
      return undefined
    }
    at += 8 + Math.ceil(length / 8) * 8
  }
  return undefined
}

/**
 * Header, extensions and backing name: what stands in cluster 0.
 * @param {FullOptions} options
 * @param {{ l1Entries: number, l1Offset: number, tableOffset: number, tableClusters: number }} tables
 */
export function encodeHeader(options, { l1Entries, l1Offset, tableOffset, tableClusters }) {
  const headerLength = options.version === 2 ? 72 : 112
  const name = Buffer.from(options.backingFile ?? '')
  const extensions = encodeExtensions(options)
  const nameAt = headerLength + extensions.length
  if (nameAt + name.length > 2 ** options.clusterBits) {
    throw new RangeError(
      `header, extensions and backing name need ${nameAt + name.length} bytes; one cluster has fewer`,
    )
  }
  const header = Buffer.alloc(headerLength)
  header.writeUInt32BE(0x514649fb, 0)
  header.writeUInt32BE(options.version, 4)
  header.writeBigUInt64BE(BigInt(name.length === 0 ? 0 : nameAt), 8)
  header.writeUInt32BE(name.length, 16)
  header.writeUInt32BE(options.clusterBits, 20)
  header.writeBigUInt64BE(BigInt(options.size), 24)
  header.writeUInt32BE(l1Entries, 36)
  header.writeBigUInt64BE(BigInt(l1Offset), 40)
  header.writeBigUInt64BE(BigInt(tableOffset), 48)
  header.writeUInt32BE(tableClusters, 56)
  if (options.version === 3) {
    header.writeBigUInt64BE((options.incompatibleFeatures ?? 0n) | (options.extendedL2 ? 1n << 4n : 0n), 72)
    header.writeBigUInt64BE((options.compatibleFeatures ?? 0n) | (options.lazyRefcounts ? 1n : 0n), 80)
    header.writeBigUInt64BE(options.autoclearFeatures ?? 0n, 88)
    header.writeUInt32BE(Math.log2(options.refcountBits), 96)
    header.writeUInt32BE(headerLength, 100)
  }
  return Buffer.concat([header, extensions, name])
}

/** @param {Qcow2Options} options */
function encodeExtensions({ backingFormat, extraExtensions }) {
  const format = backingFormat === undefined ? [] : [{ type: backingFormatExtension, data: Buffer.from(backingFormat) }]
  const parts = [...format, ...(extraExtensions ?? [])].map(({ type, data }) => {
    const part = Buffer.alloc(8 + Math.ceil(data.length / 8) * 8)
    part.writeUInt32BE(type, 0)
    part.writeUInt32BE(data.length, 4)
    data.copy(part, 8)
    return part
  })
  return Buffer.concat([...parts, Buffer.alloc(8)])
}
