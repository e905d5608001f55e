// SPDX-License-Identifier: Apache-2.0
//
// Damages the metadata of a qcow2 image: entries of its L1 and L2 tables, those of its first snapshot, of the
// refcount table and of refcount blocks. The header stays whole, so that a check has something to look at.

import type { Random } from '../random.js'

const offsetMask = 0x00fffffffffffe00n
const copied = 1n << 63n

/** A copy of the image with one or two entries changed, and sometimes cut short. */
export function damaged(image: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(image)
  const places = entriesOf(image)
  for (let changes = random.between(1, 2); changes > 0; changes -= 1) {
    const place = places[random.below(places.length)] ?? 0
    bytes.writeBigUInt64BE(changed(bytes, place, places, random), place)
  }
  return random.chance(0.05) ? bytes.subarray(0, 512 * random.between(1, bytes.length / 512)) : bytes
}

function changed(bytes: Buffer, place: number, places: readonly number[], random: Random): bigint {
  const clusterSize = 2 ** bytes.readUInt32BE(20)
  const anyCluster = BigInt(clusterSize) * BigInt(random.below(Math.ceil(bytes.length / clusterSize)))
  switch (random.below(5)) {
    case 0:
      return bytes.readBigUInt64BE(place) ^ (1n << BigInt(random.below(64)))
    case 1:
      return 0n
    case 2:
      return bytes.readBigUInt64BE(places[random.below(places.length)])
    case 3:
      return anyCluster | copied
    default:
      return anyCluster
  }
}

/** Where entries are: all of those in use, and some of the others. */
function entriesOf(bytes: Buffer): number[] {
  const clusterSize = 2 ** bytes.readUInt32BE(20)
  const found = new Set<number>()
  const offsetAt = (place: number) => Number(bytes.readBigUInt64BE(place) & offsetMask)
  const entries = (offset: number, count: number) =>
    Array.from({ length: count }, (_, index) => offset + 8 * index).filter((place) => place + 8 <= bytes.length)
  const walk = (offset: number, count: number) => {
    for (const place of entries(offset, count)) {
      const isUsed = bytes.readBigUInt64BE(place) !== 0n
      if (isUsed || (place / 8) % 61 === 0) found.add(place)
    }
  }
  const walkL1 = (offset: number, count: number) => {
    walk(offset, count)
    for (const place of entries(offset, count)) if (offsetAt(place) > 0) walk(offsetAt(place), clusterSize / 8)
  }
  walkL1(offsetAt(40), bytes.readUInt32BE(36))
  walkL1(offsetAt(48), (bytes.readUInt32BE(56) * clusterSize) / 8)
  const snapshots = offsetAt(64)
  const hasSnapshot = bytes.readUInt32BE(60) > 0 && snapshots + 12 <= bytes.length
  if (hasSnapshot) walkL1(offsetAt(snapshots), bytes.readUInt32BE(snapshots + 8))
  return [...found]
}
