// SPDX-License-Identifier: Apache-2.0
//
// QEMU's tests of backing files, rebase and zero writes, replayed against the engine: layers of different length,
// layers of different cluster size, and every way in which zeroes can lie over data. Each title begins with the
// number of QEMU's test. The images are QEMU's, the pull is ours, the judge is pull-verdict.ts.

import { truncateSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { bytesOnDisk } from '../support/images/files.js'
import { type LayerRecipe, makeChain, pullWell } from '../support/images/stream-case.js'
import { map, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('geometry')
afterAll(() => temp.remove())

/** What a layer can say about one cluster, as a command of qemu-io; null is nothing. */
const states: Readonly<Record<string, (at: number, size: number) => string | null>> = {
  nothing: () => null,
  data: (at, size) => `write -P ${1 + ((at / size) % 250)} ${at} ${size}`,
  zero: (at, size) => `write -z ${at} ${size}`,
  half: (at, size) => `write -P ${2 + ((at / size) % 250)} ${at + size / 2} ${size / 2}`,
}

/** One command list a layer such that each combination of states of three layers has a cluster. */
function combinations(clusterSize: number, step = clusterSize): [string[], string[], string[]] {
  const layers: [string[], string[], string[]] = [[], [], []]
  const makers = Object.values(states)
  for (let cluster = 0; cluster < makers.length ** 3; cluster++) {
    layers.forEach((commands, layer) => {
      const maker = makers[Math.floor(cluster / makers.length ** layer) % makers.length]
      const command = maker?.(cluster * step, clusterSize)
      if (command != null) commands.push(command)
    })
  }
  return layers
}

describe('024 and 050, rebase', () => {
  const sizes: [string, string, string][] = [
    ['64k', '64k', '64k'],
    ['64k', '32k', '128k'],
    ['4k', '64k', '512'],
    ['512', '1M', '64k'],
  ]
  test.each(sizes)(
    'every combination of states in three layers (clusters of %s, %s, %s) is pulled, and kept over a base',
    async (...clusterSizes) => {
      for (const base of [null, 2]) {
        const [bottom, middle, top] = combinations(65536)
        const recipes = [bottom, middle, top].map((io, place) => ({
          size: '4M',
          io,
          options: `cluster_size=${clusterSizes[place]}`,
        }))
        await pullWell(await makeChain(temp.folder(), ...recipes), base)
      }
    },
  )

  test('024: the tail of an overlay that is longer than its old backing stays zero over a longer base', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '1M', io: ['write -P 1 0 1M'] },
      { size: '512k', io: ['write -P 2 0 64k'] },
      { size: '1M', io: ['write -P 3 64k 64k'] },
    )
    await pullWell(chain, 2)
    await qemuIo(chain.top, 'qcow2', 'read -P 2 0 64k', 'read -P 1 128k 384k', 'read -P 0 512k 512k')
  })

  test('024: a run longer than 2 MiB of data is copied to its end', async () => {
    const io = ['write -P 1 0 2M', 'write -P 2 2M 2M', 'write -P 3 4M 1M']
    await pullWell(await makeChain(temp.folder(), { size: '6M', io }, { size: '6M' }))
  })

  test('050: zero clusters over data are not undone by the data below', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '10M', io: ['write -P 0x55 0 10M'] },
      { size: '10M', io: ['write -z 0 10M'] },
      { size: '10M' },
    )
    expect((await pullWell(chain)).bytesMoved).toBe(0)
    await qemuIo(chain.top, 'qcow2', 'read -P 0 0 10M')
  })

  test('252: zeroes over a base with data become zero clusters, not data', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '3M', io: ['write -P 1 0 3M'] },
      { size: '2M', io: ['write -z 512k 1M'] },
      { size: '3M' },
    )
    expect((await pullWell(chain, 2)).bytesMoved).toBe(0)
    const own = (await map(chain.top)).filter(({ depth }) => depth === 0)
    expect(own.every(({ zero, data }) => zero && !data)).toBe(true)
    expect(bytesOnDisk(chain.top)).toBeLessThan(1048576)
    await qemuIo(chain.top, 'qcow2', 'read -P 1 0 512k', 'read -P 0 512k 1M', 'read -P 1 1536k 512k', 'read -P 0 2M 1M')
  })

  test('252, version 2: where there are no zero clusters, zeroes are written', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '1M', io: ['write -P 1 0 1M'] },
      { size: '512k' },
      { size: '1M', options: 'compat=0.10' },
    )
    await pullWell(chain, 2)
    await qemuIo(chain.top, 'qcow2', 'read -P 1 0 512k', 'read -P 0 512k 512k')
  })
})

describe('sizes', () => {
  test('028: a base shorter by 1 GiB, sectors in turns on both sides of its end, 4 GiB and 3 sectors', async () => {
    const turns = (from: number, count: number, pattern: number) =>
      Array.from({ length: count }, (_, place) => `write -P ${pattern} ${from + place * 1024} 512`)
    const end = 3 * 1073741824 + 512
    const chain = await makeChain(
      temp.folder(),
      { size: end, io: turns(end - 16384, 16, 1) },
      { size: 4294968832, io: [...turns(end - 8704, 32, 2), 'write -P 3 4294968320 512'] },
    )
    await pullWell(chain)
    await qemuIo(
      chain.top,
      'qcow2',
      `read -P 1 ${end - 16384} 512`,
      `read -P 2 ${end + 512} 512`,
      `read -P 0 ${end} 512`,
    )
  })

  test.each([
    ['everything', null],
    ['down to the longer base', 2],
  ])('274: everything after the end of a short middle layer reads zero (%s)', async (_title, base) => {
    const chain = await makeChain(
      temp.folder(),
      { size: '2M', io: ['write -P 1 0 2M'] },
      { size: '1M' },
      { size: '2M' },
    )
    await pullWell(chain, base)
    await qemuIo(chain.top, 'qcow2', 'read -P 1 0 1M', 'read -P 0 1M 1M')
  })

  test('292: an overlay that was shrunk and grown again reads zero at its end', async () => {
    const chain = await makeChain(temp.folder(), { size: '1M', io: ['write -P 1 0 1M'] }, { size: '1M' })
    await qemuImg('resize', '-q', '--shrink', '-f', 'qcow2', chain.top, '64k')
    await qemuImg('resize', '-q', '-f', 'qcow2', chain.top, '1M')
    await pullWell(chain)
    await qemuIo(chain.top, 'qcow2', 'read -P 1 0 64k', 'read -P 0 64k 960k')
  })

  test.each([[0], [1], [511], [513], [65535], [65537], [1048575]])(
    '221 and 253: a raw base of %i bytes is read to its last byte, and zeroes behind it',
    async (length) => {
      const chain = await makeChain(
        temp.folder(),
        { format: 'raw', size: '2M', io: ['write -P 1 0 2M'] },
        { size: '2M' },
      )
      truncateSync(chain.layers[1]?.path ?? '', length)
      await pullWell(chain)
      if (length > 0) await qemuIo(chain.top, 'qcow2', `read -P 1 0 ${length}`)
      await qemuIo(chain.top, 'qcow2', `read -P 0 ${length} ${2097152 - length}`)
    },
  )

  test.each([[0], [512], [1536], [65024], [66048], [1048064]])(
    '243: an overlay of %i bytes is pulled',
    async (size) => {
      const base: LayerRecipe = { size: '2M', io: ['write -P 7 0 2M'] }
      const chain = await makeChain(temp.folder(), base, { size, options: 'cluster_size=64k' })
      await pullWell(chain)
    },
  )

  const preallocations = ['off', 'metadata', 'falloc', 'full']
  const clusterSizes = ['512', '16k', '64k', '2M']
  test.each(preallocations.flatMap((mode) => clusterSizes.map((size) => [mode, size])))(
    '079 and 104: a base preallocated with %s, clusters of %s, of odd length',
    async (mode, size) => {
      const options = `preallocation=${mode},cluster_size=${size}`
      const base: LayerRecipe = { size: 4195328, options, io: ['write -P 1 100k 300k', 'write -P 2 4194816 512'] }
      await pullWell(await makeChain(temp.folder(), base, { size: 4195328 }))
    },
  )
})

describe('zero writes', () => {
  /** Iotest 154's placements in clusters of 4 KiB: heads, tails, whole clusters and several of them. */
  const placements = [0, 512, 1024, 2048, 3584, 4096].flatMap((start) =>
    [512, 1024, 2048, 3584, 4096, 8192, 12288].map((length) => [start, length] as const),
  )
  test.each([
    ['without a base', null],
    ['over a base', 2],
  ])('154: zeroes at any place beside, over and under data read as zeroes (%s)', async (_title, base) => {
    const spot = (place: number) => place * 65536
    const each = (make: (at: number, length: number) => string) =>
      placements.map(([start, length], place) => make(spot(place) + start, length))
    const size = spot(placements.length) - 3584
    const options = 'cluster_size=4k'
    const chain = await makeChain(
      temp.folder(),
      { size, options, io: each((at, length) => `write -P 1 ${at - (at % 4096)} ${length + 8192}`) },
      { size, options, io: each((at, length) => `write -z ${at} ${length}`) },
      { size, options, io: each((at, length) => `write -P 2 ${at + length} 512`).slice(0, 20) },
    )
    await pullWell(chain, base)
  })

  test('177 and 204: odd bounds of data, zeroes and discards in 128 MiB with clusters of 1 MiB', async () => {
    const options = 'cluster_size=1M'
    const middle = ['write -P 22 8003584 512', 'write -z 32003584 8000512', 'discard 80000512 30003200']
    const top = ['write -P 33 9003520 1024', 'write -z -u 50003456 20000256', 'discard 100000256 512']
    const chain = await makeChain(
      temp.folder(),
      { size: '128M', options, io: ['write -P 11 0 128M'] },
      { size: '128M', options, io: middle },
      { size: '128M', options, io: top },
    )
    await pullWell(chain)
  })

  test('066: preallocated zero clusters, some rewritten and some discarded, read as zeroes', async () => {
    const io = ['write -P 9 0 1M', 'write -z 0 1M', 'write -P 8 128k 64k', 'discard 256k 64k', 'write -z -u 384k 64k']
    const chain = await makeChain(
      temp.folder(),
      { size: '1M', io },
      { size: '1M', io: ['write -P 5 0 64k', 'write -z 0 64k'] },
    )
    expect((await pullWell(chain)).bytesMoved).toBe(65536)
  })

  test.each([
    ['compat=0.10', '2M'],
    ['compat=1.1', '2M'],
  ])('290 and 179: discards in a layer of %s, with and without data below', async (options, size) => {
    const chain = await makeChain(
      temp.folder(),
      { size, io: ['write -P 1 0 1M'] },
      { size, options, io: ['write -P 2 512k 1M', 'discard 512k 128k', 'discard 1M 128k'] },
      { size, options, io: ['write -P 3 640k 512k', 'discard 640k 64k', 'discard 1088k 64k'] },
    )
    await pullWell(chain)
  })
})
