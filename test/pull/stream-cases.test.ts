// SPDX-License-Identifier: Apache-2.0
//
// QEMU's own tests of its block-stream job, replayed against the engine: iotest 030 and what else part of its
// suite streams. Each title begins with the number of QEMU's test. Where QEMU's jobs share a process and its graph,
// ours exclude each other by locks, and that is what is tested then.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { pullImage } from '../../lib/index.js'
import { digestOf, digestsOf, overwrite } from '../support/images/files.js'
import { Judge } from '../support/images/pull-verdict.js'
import { type ClusterContent, writeQcow2 } from '../support/images/qcow2-builder.mjs'
import { chainOf, makeChain, pathAt, pulled, pullWell } from '../support/images/stream-case.js'
import { check, difference, flatten, info, map, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('stream')
afterAll(() => temp.remove())

/** Iotest 030's chain: raw base with data at 0, data in the middle layer at 512 KiB, an empty top. */
const singleDrive = () =>
  makeChain(
    temp.folder(),
    { format: 'raw', size: '1M', io: ['write -P 0x1 0 512'] },
    { size: '1M', io: ['write -P 0x1 524288 512'] },
    { size: '1M' },
  )

describe('030, a single drive', () => {
  test('test_stream: the top has all data of both layers below and stands on its own', async () => {
    const chain = await singleDrive()
    const { released } = await pullWell(chain)
    expect(released).toEqual([pathAt(chain, 1), pathAt(chain, 2)])
    await qemuIo(chain.top, 'qcow2', 'read -P 1 0 512', 'read -P 0 512 523776', 'read -P 1 524288 512')
  })

  test('test_stream_intermediate: a middle layer stands on its own and its overlay reads the same', async () => {
    const chain = await singleDrive()
    await flatten(chain.top, temp.file('intermediate.raw'))
    const overlay = digestOf(chain.top)
    await pullWell({ folder: chain.folder, layers: chain.layers.slice(1), top: pathAt(chain, 1) })
    expect(digestOf(chain.top)).toBe(overlay)
    expect(await difference(temp.file('intermediate.raw'), chain.top)).toBeNull()
  })

  test('test_stream_no_op: down to the immediate backing file there is nothing to do', async () => {
    const chain = await singleDrive()
    const before = digestsOf(chain.layers.map(({ path }) => path))
    const { bytesMoved, released, method } = await pulled(chain.top, { base: pathAt(chain, 1) })
    expect({ bytesMoved, released, method }).toEqual({ bytesMoved: 0, released: [], method: 'none' })
    expect(digestsOf(chain.layers.map(({ path }) => path))).toBe(before)
  })

  test('test_stream_partial: down to the base only the data of the middle layer is copied', async () => {
    const chain = await singleDrive()
    const { bytesMoved } = await pullWell(chain, 2)
    expect(bytesMoved).toBe(65536)
    const own = (await map(chain.top)).filter(({ depth, data }) => depth === 0 && data)
    expect(own.map(({ start, length }) => [start, length])).toEqual([[524288, 65536]])
  })

  test('test_stream_pause and set_speed: a limit holds the running job, and lifting it lets it continue', async () => {
    const chain = await makeChain(temp.folder(), { size: '8M', io: ['write -P 5 0 8M'] }, { size: '8M' })
    const judge = await Judge.watch(chain)
    const job = await pullImage(chain.top, { bytesPerSecond: 4096 })
    await sleep(300)
    expect(job.progress.state).toBe('running')
    expect(job.progress.bytesMoved).toBeLessThanOrEqual(131072)
    job.setBandwidth('0')
    const { bytesMoved } = await job.done
    expect(bytesMoved).toBe(8388608)
    expect(await judge.complaints(null)).toEqual([])
  })

  test('test_set_speed_invalid: a negative speed is refused and the job continues', async () => {
    const chain = await makeChain(temp.folder(), { size: '1M', io: ['write -P 5 0 1M'] }, { size: '1M' })
    await expect(pullImage(chain.top, { bytesPerSecond: -1 })).rejects.toThrow(RangeError)
    const job = await pullImage(chain.top, { bytesPerSecond: 1048576 })
    expect(() => job.setBandwidth({ bytesPerSecond: -1 })).toThrow(RangeError)
    job.setBandwidth({ bytesPerSecond: 0 })
    await job.done
  })

  test('TestSmallerBackingFile: a backing file half as long is pulled, and the rest reads as zeros', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '1M', io: ['write -P 0x1 0 512', 'write -P 0x2 1048064 512'] },
      { size: '2M' },
    )
    await pullWell(chain)
    await qemuIo(chain.top, 'qcow2', 'read -P 2 1048064 512', 'read -P 0 1M 1M')
  })

  test('TestStreamStop: a job that is stopped at once leaves the image as it was', async () => {
    const chain = await makeChain(temp.folder(), { size: '4M', io: ['write -P 5 0 4M'] }, { size: '4M' })
    const judge = await Judge.watch(chain)
    const job = await pullImage(chain.top, { bytesPerSecond: 4096 })
    await expect(job.abort()).resolves.toMatchObject({ state: 'cancelled', error: { code: 'CANCELLED' } })
    expect(await judge.complaintsMeanwhile()).toEqual([])
    expect(await info(chain.top)).toMatchObject({ 'backing-filename': 'layer0' })
  })

  test('TestEIO.test_report: a cluster that cannot be read fails the job, and what was copied is kept', async () => {
    const folder = temp.folder()
    const base = `${folder}/layer0`
    const clusters = new Map<number, ClusterContent>()
    for (let at = 0; at < 16; at++) clusters.set(at, { data: Buffer.alloc(65536, at + 1) })
    clusters.set(8, { compressed: Buffer.alloc(65536, 'compressed') })
    const layout = writeQcow2(base, { size: 1048576, clusters })
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'layer0', '-F', 'qcow2', `${folder}/layer1`)
    const chain = chainOf(folder, 'layer1', 'layer0')
    await flatten(chain.top, `${folder}/flat.raw`)
    const packedAt = layout.hostOffsets.get(8) ?? 0
    const good = readFileSync(base).subarray(packedAt, packedAt + 16)

    overwrite(base, packedAt, Buffer.alloc(16, 0xff))
    const job = await pullImage(chain.top)
    await expect(job.done).rejects.toMatchObject({ code: 'IMAGE_CORRUPT', path: base })
    expect(job.outcome).toMatchObject({ state: 'failed', released: [] })
    expect(await check(chain.top)).toMatchObject({ code: 0 })

    overwrite(base, packedAt, good)
    expect(await difference(`${folder}/flat.raw`, chain.top)).toBeNull()
    await pullWell(chain)
    expect(await difference(`${folder}/flat.raw`, chain.top)).toBeNull()
  })
})

describe('030, parallel jobs', () => {
  test('test_stream_parallel: four overlays of one base are pulled at once', async () => {
    const folder = temp.folder()
    await makeChain(folder, { name: 'base', size: '2M', io: ['write -P 9 0 1M'] })
    const chains = await Promise.all(
      [1, 2, 3, 4].map(async (pattern) => {
        const name = `overlay${pattern}`
        await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', `${folder}/${name}`)
        await qemuIo(`${folder}/${name}`, 'qcow2', `write -P ${pattern} 1M 512k`)
        return chainOf(folder, name, 'base')
      }),
    )
    await Promise.all(chains.map((chain) => pulled(chain.top)))
    for (const [place, { top }] of chains.entries()) {
      await qemuIo(top, 'qcow2', 'read -P 9 0 1M', `read -P ${place + 1} 1M 512k`, 'read -P 0 1536k 512k')
      expect(await info(top)).not.toHaveProperty('backing-filename')
      expect(await check(top)).toMatchObject({ code: 0 })
    }
  })

  test('test_stream_parallel, in turns: every second image of nine takes in the one below', async () => {
    const recipes = Array.from({ length: 9 }, (_, place) => ({
      size: '1M',
      io: [`write -P ${place + 1} ${place * 64}k 128k`],
    }))
    const chain = await makeChain(temp.folder(), ...recipes)
    await flatten(chain.top, `${chain.folder}/flat.raw`)
    for (const place of [6, 4, 2, 0]) {
      const layers = chain.layers.slice(place)
      await pullWell({ folder: chain.folder, layers, top: layers[0]?.path ?? '' }, 2)
    }
    expect(await difference(`${chain.folder}/flat.raw`, chain.top)).toBeNull()
    const names = JSON.parse(await qemuImg('info', '--output=json', '--backing-chain', '-f', 'qcow2', chain.top))
    expect(names).toHaveLength(5)
  })

  test('test_overlapping: a second job on the image, and one on a layer below it, are refused', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '4M' },
      { size: '4M', io: ['write -P 1 0 4M'] },
      { size: '4M' },
    )
    const judge = await Judge.watch(chain)
    const job = await pullImage(chain.top, { bytesPerSecond: 65536 })
    await expect(pullImage(chain.top)).rejects.toMatchObject({ code: 'JOB_ACTIVE' })
    await expect(pullImage(pathAt(chain, 1))).rejects.toMatchObject({ code: 'LOCKED' })
    job.setBandwidth('0')
    await job.done
    expect(await judge.complaints(null)).toEqual([])
    await pulled(pathAt(chain, 1))
  })
})

describe('other tests that stream', () => {
  test('stream-unaligned-prefetch: clusters of 32 KiB below are pulled into clusters of 64 KiB', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '1M', options: 'cluster_size=32k', io: ['write -P 1 32k 32k', 'write -P 2 480k 96k'] },
      { size: '1M', options: 'cluster_size=64k' },
    )
    await pullWell(chain)
  })

  test('216 and 310: unlinked from its base, the image has the data of the intermediate layers alone', async () => {
    const chain = await makeChain(
      temp.folder(),
      { name: 'base', size: '4M', io: ['write -P 1 0 4M'] },
      { name: 'bottom', size: '4M', io: ['write -P 2 1M 2M'] },
      { name: 'mid', size: '4M', io: ['write -P 3 2M 512k'] },
      { name: 'top', size: '4M' },
    )
    await pullWell(chain, 3)
    await qemuImg('rebase', '-u', '-b', '', '-f', 'qcow2', chain.top)
    const reads = ['read -P 0 0 1M', 'read -P 2 1M 1M', 'read -P 3 2M 512k', 'read -P 2 2560k 512k', 'read -P 0 3M 1M']
    await qemuIo(chain.top, 'qcow2', ...reads)
  })

  test('197 and 215: over 4 GiB, zeroes and own zero clusters stay, a partial last cluster is copied', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '4G', io: ['write -P 55 3G 1k', 'write -P 56 4294966784 512', 'write -z 1G 1G'] },
      { size: '4294966784', options: 'cluster_size=2M', io: ['write -z -u 4M 2M'] },
    )
    const { bytesMoved } = await pullWell(chain)
    expect(bytesMoved).toBeLessThanOrEqual(4 * 1048576)
    await qemuIo(chain.top, 'qcow2', 'read -P 55 3G 1k', 'read -P 0 3221226496 64k', 'read -P 0 1G 64M')
  })

  test('197, many requests: a pull of a sparse 4 GiB disk copies only what is there', async () => {
    const io = Array.from({ length: 40 }, (_, place) => `write -P ${place + 1} ${place * 100}M 1k`)
    const chain = await makeChain(temp.folder(), { size: '4G', io }, { size: '4G' })
    const { bytesMoved } = await pullWell(chain)
    expect(bytesMoved).toBe(40 * 65536)
  })
})
