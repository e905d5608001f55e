// SPDX-License-Identifier: Apache-2.0
//
// Filter nodes above an image and between its layers, of every kind that QEMU has: the active image is filled, and no
// backing file is written.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { type CaseChain, makeChain, pathAt } from '../support/images/stream-case.js'
import { LiveDisk, nodeNames } from '../support/qemu/live-disk.js'
import { expectWhole } from '../support/qemu/live-verdict.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('stacked-filters')
afterAll(() => temp.remove())

const layers = (): Promise<CaseChain> =>
  makeChain(
    temp.folder(),
    { name: 'base', size: '4M', io: ['write -P 1 0 2M'] },
    { name: 'mid', size: '4M', io: ['write -P 2 1M 2M'] },
    { name: 'top', size: '4M', io: ['write -P 3 2M 64k'] },
  )

type Filter = Record<string, unknown>

const throttle: Filter = { driver: 'throttle', 'throttle-group': 'group' }
const copyOnRead: Filter = { driver: 'copy-on-read' }
const compress: Filter = { driver: 'compress' }
const preallocate: Filter = { driver: 'preallocate' }
const blkdebug: Filter = { driver: 'blkdebug' }

/** QEMU's arguments for the chain with these filters above each of its layers, the uppermost first. */
function filteredArgs(chain: CaseChain, filtersOf: readonly (readonly Filter[])[]): string[] {
  const names = nodeNames(chain)
  const nodes: Filter[] = []
  let below: string | null = null
  for (const [place, { path, format }] of [...chain.layers.entries()].reverse()) {
    const file = { driver: 'file', filename: path }
    nodes.push({ driver: format, 'node-name': names[place], file, backing: below, 'read-only': place > 0 })
    below = names[place] ?? ''
    for (const [at, filter] of [...(filtersOf[place] ?? []).entries()].reverse()) {
      const child = filter['driver'] === 'blkdebug' ? { image: below } : { file: below }
      below = `filter-${place}-${at}`
      nodes.push({ ...filter, ...child, 'node-name': below, 'read-only': place > 0 })
    }
  }
  const blockdevs = nodes.flatMap((node) => ['-blockdev', JSON.stringify(node)])
  const group = ['-object', 'throttle-group,id=group,x-bps-total=0']
  return [...group, ...blockdevs, '-device', `virtio-blk-pci,drive=${below},id=vb0`]
}

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')

/** Pulls and wants every backing file byte for byte as it was. */
async function pullUnder(filters: readonly (readonly Filter[])[], base: number | null, disk: string) {
  const chain = await layers()
  const diskArgs = filteredArgs(chain, filters)
  const live = await LiveDisk.start(chain, { diskArgs, disks: [] })
  const before = chain.layers.slice(1).map(({ path }) => digest(path))
  const options = base === null ? {} : { base: pathAt(chain, base) }
  const outcome = await live.pull(options, disk)
  expect(chain.layers.slice(1).map(({ path }) => digest(path))).toEqual(before)
  const dropped = chain.layers.slice(1, base ?? chain.layers.length).map(({ path }) => path)
  expect(outcome).toMatchObject({ state: 'completed', verified: true, released: dropped, warnings: [] })
  return { live, chain }
}

describe.each([
  ['one', [throttle]],
  ['two of a kind', [throttle, throttle]],
  ['three of a kind', [throttle, throttle, throttle]],
  ['copy-on-read over throttle', [copyOnRead, throttle]],
  ['compress over throttle', [compress, throttle]],
  ['preallocate over throttle', [preallocate, throttle]],
  ['blkdebug over copy-on-read', [blkdebug, copyOnRead]],
] as const)('%s above the image', (_, filters) => {
  test.each(['vb0', 'top', 'filter-0-0'])("is pulled by the name '%s' and writes no backing file", async (disk) => {
    const { live } = await pullUnder([filters], null, disk)
    await expectWhole(live)
  })
})

test('filters between the layers do not mislead a pull of everything', async () => {
  const { live } = await pullUnder([[throttle], [blkdebug], [throttle, throttle]], null, 'vb0')
  await expectWhole(live)
})

test('a filter over the base that stays remains over it', async () => {
  const { live, chain } = await pullUnder([[throttle, copyOnRead], [throttle], [throttle, blkdebug]], 2, 'vb0')
  const stats = await (await live.client()).execute('query-blockstats')
  const names: string[] = []
  for (let node = stats[0]; node !== undefined; node = node.backing) names.push(node['node-name'])
  expect(names).toEqual(['filter-0-0', 'filter-0-1', 'top', 'filter-2-0', 'filter-2-1', 'base'])
  await expectWhole(live, pathAt(chain, 2))
})
