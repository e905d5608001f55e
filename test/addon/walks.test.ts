// SPDX-License-Identifier: Apache-2.0
//
// Calls that walk, over the addon: they end in the middle when their signal is aborted, and tell how far they are.
//
// What is walked here lasts for minutes where nobody ends it: a digest of an empty disk of terabytes, and a base whose
// tables name one cluster for each of its 8 GiB, which a plan that reads reads as often.

import { getEventListeners } from 'node:events'
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, createImage, digestImage, inspectChain, plan, type WalkProgress } from '../../lib/index.js'
import { loadBinding } from '../../lib/native.js'
import { writeQcow2 } from '../support/images/qcow2-builder.mjs'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('walks')
afterAll(() => temp.remove())

const empty = temp.file('empty')
const top = temp.file('top')
const cluster = 65536
const tables = 16
const size = tables * (cluster / 8) * cluster

/** An image of `size` bytes, each cluster of which is the same one of the file. */
function writeOneCluster(path: string): void {
  const { l1Offset, hostOffsets } = writeQcow2(path, {
    size,
    clusters: new Map([[0, { data: Buffer.alloc(cluster, 7) }]]),
  })
  const table = Buffer.alloc(cluster)
  for (let at = 0; at < cluster; at += 8) table.writeBigUInt64BE(BigInt(hostOffsets.get(0) ?? 0), at)
  const first = 1 << 24
  const l1 = Buffer.alloc(tables * 8)
  const file = openSync(path, 'r+')
  for (let index = 0; index < tables; index += 1) {
    writeSync(file, table, 0, cluster, first + index * cluster)
    l1.writeBigUInt64BE(BigInt(first + index * cluster), index * 8)
  }
  writeSync(file, l1, 0, l1.length, l1Offset)
  ftruncateSync(file, first + tables * cluster)
  closeSync(file)
}

beforeAll(async () => {
  await createImage(empty, { size: '64TiB' })
  writeOneCluster(temp.file('base'))
  writeQcow2(top, { size, backingFile: 'base', backingFormat: 'qcow2' })
})

/** Progress of one phase goes up, and no phase comes back. */
function expectToRise(told: readonly WalkProgress[]): void {
  for (const [index, { phase, bytesDone, bytesTotal }] of told.entries()) {
    const before = told[index - 1]
    if (before?.phase !== phase) expect(bytesDone).toBe(0)
    else expect(bytesDone).toBeGreaterThan(before.bytesDone)
    expect(bytesDone).toBeLessThanOrEqual(bytesTotal)
  }
  expect(told.map(({ phase }) => phase).join(' ')).toMatch(/^(tables ?)*(data ?)*$/)
}

test('a digest can be aborted in the middle', async () => {
  const controller = new AbortController()
  const told: WalkProgress[] = []
  const digest = digestImage(empty, {
    signal: controller.signal,
    onProgress: (progress) => {
      told.push(progress)
      if (progress.bytesDone > 0) controller.abort('enough')
    },
  })
  await expect(digest).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' })
  expectToRise(told)
  expect(told.at(-1)?.bytesDone).toBeLessThan(2 ** 46)
  expect(getEventListeners(controller.signal, 'abort')).toEqual([])
})

test('the addon itself aborts a digest, and a walk that has not started', async () => {
  const binding = loadBinding()
  const image = { path: empty, format: null, backingFormat: null, backingFormats: null, backingPaths: null }
  const walk = binding.newWalk()
  const digest = binding.digestImage(image, walk).catch((failure: unknown) => failure)
  while ((walk.progress()?.bytesDone ?? 0n) === 0n) await new Promise((resolve) => setTimeout(resolve, 5))
  walk.giveUp()
  await expect(digest).resolves.toMatchObject({ code: 'CANCELLED' })
  const walks = { ...image, path: top }
  const pull = {
    ...walks,
    base: null,
    bandwidth: 0n,
    siblings: null,
    trailingData: 'refuse',
    readData: false,
  } as const
  await expect(binding.inspectChain(walks, walk)).rejects.toMatchObject({ code: 'CANCELLED' })
  await expect(binding.planImage(pull, walk)).rejects.toMatchObject({ code: 'CANCELLED' })
  await expect(binding.digestImage(walks, walk)).rejects.toMatchObject({ code: 'CANCELLED' })
})

test('a plan that reads can be aborted in the middle, for an image and for a disk', async () => {
  const disks = [{ target: 'vda', source: top, format: 'qcow2' }]
  const connection = await connect({ domains: [{ name: 'vm0', disks }] })
  const domain = await connection.lookupByName('vm0')
  for (const call of [plan.bind(null, top), domain.plan.bind(domain, 'vda')]) {
    const controller = new AbortController()
    const told: WalkProgress[] = []
    const planned = call({
      readData: true,
      signal: controller.signal,
      onProgress: (progress) => {
        told.push(progress)
        if (progress.phase === 'data') controller.abort()
      },
    })
    await expect(planned).rejects.toMatchObject({ name: 'AbortError' })
    expectToRise(told)
    expect(told.find(({ phase }) => phase === 'data')).toEqual({ phase: 'data', bytesDone: 0, bytesTotal: size })
    expect(told.at(-1)?.bytesDone).toBeLessThan(size)
  }
  await connection.close()
})

test('many long walks hold up no other', async () => {
  const controller = new AbortController()
  let ended = 0
  const long = Array.from({ length: 40 }, () =>
    plan(top, { readData: true, signal: controller.signal }).finally(() => {
      ended += 1
    }),
  )
  expect(await inspectChain(empty)).toHaveLength(1)
  expect(ended).toBe(0)
  controller.abort()
  for (const { status } of await Promise.allSettled(long)) expect(status).toBe('rejected')
})

test('a walk that is not aborted reports its end', async () => {
  const told: WalkProgress[] = []
  const onProgress = (progress: WalkProgress) => told.push(progress)
  await inspectChain(top, { onProgress })
  expectToRise(told)
  expect(told.at(-1)).toEqual({ phase: 'tables', bytesDone: size, bytesTotal: size })
  told.splice(0)
  await plan(top, { onProgress })
  expectToRise(told)
  expect(told.at(-1)).toEqual({ phase: 'tables', bytesDone: size, bytesTotal: size })
  told.splice(0)
  const small = temp.file('small')
  await createImage(small, { size: '8MiB' })
  const { bytes } = await digestImage(small, { onProgress })
  expectToRise(told)
  expect(told.at(-1)).toEqual({ phase: 'data', bytesDone: bytes, bytesTotal: 8388608 })
})
