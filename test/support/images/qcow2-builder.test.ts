// SPDX-License-Identifier: Apache-2.0
//
// The builder is the ground that other tests stand on, so QEMU judges it: `qemu-img check` must find its images
// clean and `qemu-img convert` must read from them what was put in, over every width and size it offers.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { TempFolder } from '../temp-folder.js'
import { type ClusterContent, type Qcow2Options, readQcow2Options, writeQcow2 } from './qcow2-builder.mjs'

const temp = new TempFolder('qcow2-builder')
afterAll(() => temp.remove())

const guestClusters = 700

/** Bytes that look random, the same for the same number. */
function pattern(seed: number, length: number): Buffer {
  const line = createHash('sha256').update(String(seed)).digest()
  return Buffer.alloc(length, line)
}

/** Every kind of content, spread over the image, and what a guest reads of it. */
function mixture(clusterSize: number, size: number, version: 2 | 3): [Map<number, ClusterContent>, Buffer] {
  const clusters = new Map<number, ClusterContent>()
  const expected = Buffer.alloc(size)
  for (let index = 0; index * clusterSize < size; index += 1 + (index % 3)) {
    const data = pattern(index, clusterSize)
    const kind = index % (version === 2 ? 3 : 5)
    if (kind < 3) {
      clusters.set(index, kind === 0 ? { data } : { compressed: data })
      data.copy(expected, index * clusterSize)
    } else {
      clusters.set(index, kind === 3 ? { zero: true } : { zeroAllocated: true })
    }
  }
  return [clusters, expected]
}

function judge(name: string, options: Qcow2Options, expected: Buffer): void {
  const path = temp.file(`${name}.qcow2`)
  const layout = writeQcow2(path, options)
  const report = execFileSync('qemu-img', ['check', '-f', 'qcow2', path], { encoding: 'utf8' })
  expect(report).toContain('No errors were found')
  execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', path, `${path}.raw`])
  expect(readFileSync(`${path}.raw`).equals(expected)).toBe(true)
  expect(readFileSync(path).length).toBe(layout.fileSize)
}

describe('an image of every kind of cluster is clean and reads as written', () => {
  const cases = [9, 12, 16].flatMap((clusterBits) =>
    [1, 2, 4, 8, 16, 32, 64].map((refcountBits) => ({ version: 3 as const, clusterBits, refcountBits })),
  )
  test.each([
    ...cases,
    { version: 2 as const, clusterBits: 9, refcountBits: 16 },
    { version: 2 as const, clusterBits: 16, refcountBits: 16 },
  ])('version $version, clusters of 2^$clusterBits, refcounts of $refcountBits bits', (shape) => {
    const clusterSize = 2 ** shape.clusterBits
    const size =
      clusterSize * Math.min(guestClusters, 2 ** (25 - shape.clusterBits)) - 512 * (shape.clusterBits > 9 ? 3 : 0)
    const [clusters, expected] = mixture(clusterSize, size, shape.version)
    judge(Object.values(shape).join('-'), { ...shape, size, clusters, lazyRefcounts: shape.version === 3 }, expected)
  })

  test('clusters of 2 MiB', () => {
    const size = 5 * 2 ** 21
    const [clusters, expected] = mixture(2 ** 21, size, 3)
    judge('large', { clusterBits: 21, size, clusters }, expected)
  })
})

test('an overlay names its backing file and its format, and reads through to it', () => {
  const base = pattern(1, 2 ** 16)
  const own = pattern(2, 2 ** 16)
  const size = 3 * 2 ** 16
  writeQcow2(temp.file('base.qcow2'), { size, clusters: new Map([0, 1].map((at) => [at, { data: base }])) })
  const clusters = new Map<number, ClusterContent>([[1, { data: own }]])
  judge(
    'overlay',
    { size, clusters, backingFile: 'base.qcow2', backingFormat: 'qcow2' },
    Buffer.concat([base, own, Buffer.alloc(2 ** 16)]),
  )
  const options = readQcow2Options(temp.file('overlay.qcow2'))
  expect(options).toEqual({
    size,
    version: 3,
    clusterBits: 16,
    refcountBits: 16,
    lazyRefcounts: false,
    backingFile: 'base.qcow2',
    backingFormat: 'qcow2',
  })
})

test('an image of qemu-img can be rewritten with content', () => {
  const path = temp.file('anew.qcow2')
  const shape = 'cluster_size=4096,refcount_bits=64,lazy_refcounts=on'
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', shape, path, '1M'])
  const clusters = new Map<number, ClusterContent>([[7, { data: pattern(7, 4096) }]])
  const expected = Buffer.alloc(2 ** 20)
  pattern(7, 4096).copy(expected, 7 * 4096)
  judge('anew', { ...readQcow2Options(path), clusters }, expected)
})

test('extended L2 distinguishes the subclusters of a cluster', () => {
  const size = 4 * 2 ** 16
  const full = pattern(3, 2 ** 16)
  const clusters = new Map<number, ClusterContent>([
    [0, { data: full }],
    [1, { data: full, allocated: 0x0000000f, zeroes: 0x000000f0 }],
    [2, { zero: true }],
    [3, { compressed: full }],
  ])
  const part = Buffer.concat([full.subarray(0, 4 * 2048), Buffer.alloc(28 * 2048)])
  judge('extended', { size, extendedL2: true, clusters }, Buffer.concat([full, part, Buffer.alloc(2 ** 16), full]))
})

test('leaked clusters are leaks and nothing worse', () => {
  const path = temp.file('leaks.qcow2')
  writeQcow2(path, { size: 2 ** 20, leakedClusters: 3 })
  let code: unknown
  try {
    execFileSync('qemu-img', ['check', '-f', 'qcow2', path], { stdio: 'pipe' })
  } catch (error) {
    code = (error as { status: number }).status
  }
  expect(code).toBe(3)
})

test.each([
  [{ size: 512, clusterBits: 8 }, 'clusterBits is 8'],
  [{ size: 512, refcountBits: 3 }, 'refcountBits is 3'],
  [{ size: 2 ** 20, version: 2 as const, clusters: new Map([[0, { zero: true as const }]]) }, 'version 2'],
  [{ size: 2 ** 16, clusters: new Map([[1, { data: Buffer.alloc(1) }]]) }, 'lies outside'],
  [{ size: 512, clusterBits: 9, backingFile: 'x'.repeat(500) }, 'one cluster has fewer'],
])('an image that cannot be built is refused: %#', (options: Qcow2Options, message) => {
  expect(() => writeQcow2(temp.file('refused.qcow2'), options)).toThrow(message)
})
