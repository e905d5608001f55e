// SPDX-License-Identifier: Apache-2.0
//
// A plan that reads what would be moved: it finds what the pull would fail with, and changes nothing.

import { afterAll, expect, test } from 'vitest'
import { connect, plan, pullImage, type WalkProgress } from '../../lib/index.js'
import { digestsOf, overwrite } from '../support/images/files.js'
import { type ClusterContent, writeQcow2 } from '../support/images/qcow2-builder.mjs'
import { blockpull } from '../support/processes/command.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('read-data')
afterAll(() => temp.remove())

const cluster = 65536

/** An empty overlay over 40 compressed clusters and a plain one. */
function makeChain() {
  const folder = temp.folder()
  const clusters = new Map<number, ClusterContent>()
  for (let index = 0; index < 40; index += 1) {
    const compressed = Buffer.alloc(cluster)
    for (let at = 0; at < cluster; at += 1) compressed[at] = (at * (index + 3)) >> 6
    clusters.set(index, { compressed })
  }
  clusters.set(50, { data: Buffer.alloc(cluster, 50) })
  const size = 64 * cluster
  const { hostOffsets } = writeQcow2(`${folder}/base`, { size, clusters })
  writeQcow2(`${folder}/top`, { size, backingFile: 'base', backingFormat: 'qcow2' })
  /** Makes its deflate stream begin with a block of a kind that there is none of. */
  const damage = (index: number) => {
    const offset = hostOffsets.get(index) as number
    overwrite(`${folder}/base`, offset, Buffer.alloc(16, 0xff))
    return offset
  }
  return { top: `${folder}/top`, base: `${folder}/base`, damage }
}

test('a sound chain has no unreadable data, and exactly the data to move is read', async () => {
  const { top, base } = makeChain()
  const before = digestsOf([top, base])
  const told: WalkProgress[] = []
  const planned = await plan(top, { readData: true, onProgress: (progress) => told.push(progress) })
  expect(planned.refusals).toEqual([])
  expect(planned.bytesToMove).toBe(41 * cluster)
  expect(told.at(-1)).toEqual({ phase: 'data', bytesDone: 41 * cluster, bytesTotal: 41 * cluster })
  // Others write to the filesystem meanwhile.
  expect(planned).toEqual({ ...(await plan(top)), bytesFree: planned.bytesFree })
  expect(digestsOf([top, base])).toEqual(before)
})

test('each damaged compressed cluster is reported once, and the error of the pull comes first', async () => {
  const { top, base, damage } = makeChain()
  const offsets = [7, 23].map(damage)
  const before = digestsOf([top, base])
  expect((await plan(top)).refusals).toEqual([])
  const { refusals } = await plan(top, { readData: true })
  expect(refusals.map(({ code, path, offset }) => ({ code, path, offset }))).toEqual(
    offsets.map((offset) => ({ code: 'IMAGE_CORRUPT', path: base, offset })),
  )
  expect(refusals.map(({ hint }) => hint)).toEqual(
    [7, 23].map((index, at) => {
      const where = `it lies at offset ${offsets[at]} of that file`
      return `${where}; what a guest reads from offset ${index * cluster} on needs it`
    }),
  )
  expect(digestsOf([top, base])).toEqual(before)
  const failure: unknown = await (await pullImage(top)).done.catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: refusals[0]?.code, message: refusals[0]?.message })
})

test('of many errors the first 16 are reported', async () => {
  const { top, damage } = makeChain()
  for (let index = 0; index < 40; index += 2) damage(index)
  const { refusals } = await plan(top, { readData: true })
  expect(refusals).toHaveLength(16)
  expect(refusals.at(-1)?.hint).toContain(` ${30 * cluster} `)
})

test('the disk of a domain that is shut off is read as well', async () => {
  const { top, damage } = makeChain()
  const offset = damage(3)
  const disks = [{ target: 'vda', source: top, format: 'qcow2' }]
  const connection = await connect({ domains: [{ name: 'vm0', disks }] })
  const domain = await connection.lookupByName('vm0')
  expect((await domain.plan('vda')).refusals).toEqual([])
  const { refusals } = await domain.plan('vda', { readData: true })
  expect(refusals).toMatchObject([{ code: 'IMAGE_CORRUPT', offset }])
  expect(refusals[0]?.hint).toContain(`offset ${3 * cluster} `)
  await connection.close()
})

test('the command says how much it reads, and ends as the pull would', async () => {
  const { top, damage } = makeChain()
  expect(await blockpull('pull', '--dry-run', '--read-data', top)).toMatchObject({
    code: 0,
    stderr: 'reading 2.6 MiB that would be moved\n',
  })
  damage(1)
  const { code, stdout, stderr } = await blockpull('pull', '--dry-run', '--read-data', top)
  expect({ code, stdout: stdout.split('\n')[0] }).toEqual({ code: 1, stdout: `${top}: would be refused` })
  expect(stderr).toMatch(/^reading 2\.6 MiB that would be moved\nblockpull: compressed cluster /)
  expect(stderr).toContain(`from offset ${cluster} on`)
})
