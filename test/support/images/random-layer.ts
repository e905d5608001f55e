// SPDX-License-Identifier: Apache-2.0
//
// What a random layer can be, and what can be written into it. The choices follow what the formats allow together:
// version 2 has 16-bit refcounts and no lazy ones, subclusters need clusters of 16 KiB, a snapshot needs refcounts
// above 1, a raw file has nothing below it.

import type { Random } from '../random.js'

/** 'extended' is an active layer with extended L2 entries. */
export type LayerKind = 'active' | 'extended' | 'between' | 'bottom'

export interface LayerShape {
  readonly path: string
  readonly format: 'raw' | 'qcow2'
  /** Virtual size in bytes, when it is made. */
  readonly size: number
  /** Larger than `size` where the layer is resized once it is written. */
  readonly grownSize: number
  readonly version: 2 | 3
  /** 512 where the format has no clusters. */
  readonly clusterSize: number
  readonly refcountBits: number
  readonly createOptions: readonly string[]
  readonly hasSnapshot: boolean
  readonly hasBitmap: boolean
  /** Bytes that a raw file is shorter than its size in sectors. */
  readonly oddBytes: number
}

const plain = { grownSize: 0, hasSnapshot: false, hasBitmap: false, oddBytes: 0 }

export function chooseLayer(random: Random, kind: LayerKind, size: number, path: string): LayerShape {
  return kind === 'bottom' && random.chance(0.35)
    ? chooseRaw(random, size, path)
    : chooseQcow2(random, kind, size, path)
}

function chooseRaw(random: Random, size: number, path: string): LayerShape {
  const preallocation = random.pick(['off', 'off', 'off', 'falloc', 'full'])
  return {
    ...plain,
    path,
    size,
    format: 'raw',
    version: 3,
    clusterSize: 512,
    refcountBits: 0,
    createOptions: preallocation === 'off' ? [] : [`preallocation=${preallocation}`],
    oddBytes: random.chance(0.2) ? random.between(1, 511) : 0,
  }
}

function chooseQcow2(random: Random, kind: LayerKind, size: number, path: string): LayerShape {
  if (kind === 'extended') return chooseExtended(random, size, path)
  const clusterBits = random.pick([9, 9, 10, 11, 12, 12, 13, 14, 15, 16, 16, 16, 17, 18, 20, 21])
  const version = random.chance(0.2) ? 2 : 3
  const refcountBits = version === 2 ? 16 : random.pick([1, 2, 4, 8, 16, 16, 32, 64])
  const options = [`cluster_size=${2 ** clusterBits}`, `compat=${version === 2 ? '0.10' : '1.1'}`]
  const isRead = kind !== 'active'
  if (version === 3) {
    options.push(`refcount_bits=${refcountBits}`)
    if (random.chance(0.25)) options.push('lazy_refcounts=on')
    if (random.chance(0.25)) options.push('compression_type=zstd')
    if (isRead && clusterBits >= 14 && random.chance(0.4)) options.push('extended_l2=on')
  }
  if (kind === 'bottom' && random.chance(0.15)) {
    options.push(`preallocation=${random.pick(['metadata', 'falloc', 'full'])}`)
  }
  const hasSnapshot = isRead && refcountBits > 1 && random.chance(0.1)
  return {
    path,
    size,
    format: 'qcow2',
    version,
    clusterSize: 2 ** clusterBits,
    refcountBits,
    createOptions: options,
    hasSnapshot,
    grownSize: random.chance(0.08) ? size + 512 * random.between(1, 2048) : 0,
    hasBitmap: isRead && version === 3 && random.chance(0.05),
    oddBytes: 0,
  }
}

/** With preallocated metadata every cluster has a place in the file and none of its subclusters. */
function chooseExtended(random: Random, size: number, path: string): LayerShape {
  const clusterSize = 2 ** random.pick([14, 14, 14, 15, 16, 16, 16, 17, 18, 20, 21])
  const refcountBits = random.pick([1, 2, 4, 8, 16, 16, 32, 64])
  const options = [`cluster_size=${clusterSize}`, 'extended_l2=on', `refcount_bits=${refcountBits}`]
  if (random.chance(0.25)) options.push('compression_type=zstd')
  if (random.chance(0.25)) options.push(`preallocation=${random.pick(['metadata', 'metadata', 'falloc', 'full'])}`)
  const grownSize = random.chance(0.15) ? size + 512 * random.between(1, 2048) : 0
  return {
    ...plain,
    path,
    size,
    format: 'qcow2',
    version: 3,
    clusterSize,
    refcountBits,
    createOptions: options,
    grownSize,
  }
}

/** Up to eight `qemu-io` commands that change the layer. */
export function writeCommands(random: Random, layer: LayerShape): string[] {
  return Array.from({ length: random.between(0, 8) }, () => writeCommand(random, layer))
}

function writeCommand(random: Random, layer: LayerShape): string {
  const dice = random.below(100)
  if (dice < 12 && layer.format === 'qcow2') {
    const start = layer.clusterSize * random.below(Math.ceil(layer.size / layer.clusterSize))
    const length = Math.min(layer.clusterSize, layer.size - start)
    return `write -c -P ${random.between(1, 255)} ${start} ${length}`
  }
  const [start, length] = chooseRange(random, layer)
  if (dice < 57) return `write -P ${random.between(1, 255)} ${start} ${length}`
  if (dice < 67) return `write -P 0 ${start} ${length}`
  if (dice < 80) return `write -z ${start} ${length}`
  if (dice < 90) return `write -z -u ${start} ${length}`
  return `discard ${start} ${length}`
}

function chooseRange(random: Random, { size, clusterSize }: LayerShape): [start: number, length: number] {
  const unit = random.pick([512, 512, 4096, clusterSize])
  const units = Math.max(1, Math.floor(size / unit))
  const start = Math.min(unit * random.below(units), size - 512)
  const longest = Math.max(1, Math.ceil((size - start) / unit))
  return [start, Math.min(unit * random.scaled(1, longest), size - start)]
}
