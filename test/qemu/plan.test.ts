// SPDX-License-Identifier: Apache-2.0
//
// A plan of a running guest's disk against a real QEMU: it changes nothing, its sizes are those that the pull then has,
// and what it says would refuse a pull is what the pull is refused with.

import { readFileSync, statSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import type { PlanOptions } from '../../lib/index.js'
import { expectSameRefusal } from '../support/images/same-refusal.js'
import { type CaseChain, makeChain, pathAt } from '../support/images/stream-case.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { qemuImg } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('live-plan')
afterAll(() => temp.remove())

const mebibyte = 2 ** 20

/** The base has 4 MiB of 8, the middle layer 3 of which 2 are the base's too, the top 1 that both have. */
const layers = (): Promise<CaseChain> =>
  makeChain(
    temp.folder(),
    { name: 'base', size: '8M', io: ['write -P 1 0 4M'] },
    { name: 'mid', size: '8M', io: ['write -P 2 2M 3M'] },
    { name: 'top', size: '8M', io: ['write -P 3 3M 1M'] },
  )

describe('a plan', () => {
  test.each([
    ['everything', () => ({}), 4 * mebibyte],
    ['down to a base', (chain: CaseChain) => ({ base: pathAt(chain, 2) }), 2 * mebibyte],
  ] as const)('of %s has the sizes that the pull then has', async (_, optionsFor, toMove) => {
    const chain = await layers()
    const options: PlanOptions = optionsFor(chain)
    const live = await LiveDisk.start(chain)
    const before = statSync(chain.top).size
    const plan = await (await live.domain()).plan('vda', { ...options, bandwidth: '1MiB/s' })
    expect(plan).toMatchObject({ bytesToMove: toMove, seconds: toMove / mebibyte, virtualSize: 8 * mebibyte })
    expect(plan).toMatchObject({ refusals: [], method: 'block-stream', base: options.base ?? null })
    expect(plan.bytesFree).toBeGreaterThan(plan.bytesToAllocate)
    const { released } = await live.pull(options)
    expect(plan.released).toEqual(released)
    await live.shutOff()
    const grown = statSync(chain.top).size - before
    expect(grown).toBeGreaterThanOrEqual(toMove)
    expect(grown).toBeLessThanOrEqual(plan.bytesToAllocate)
    expect(await live.complaints((options.base ?? null) as string | null)).toEqual([])
  })

  test('starts no job, changes no file, and works on a read-only connection', async () => {
    const chain = await layers()
    const live = await LiveDisk.start(chain)
    const files = () => chain.layers.map(({ path }) => readFileSync(path).toString('base64'))
    const before = files()
    const domain = await (await live.connect({ readOnly: true })).lookupByName('vm0')
    expect((await domain.plan('vda')).refusals).toEqual([])
    expect((await domain.plan(chain.top, { base: 'vda[2]' })).refusals).toEqual([])
    expect(await live.jobs()).toEqual([])
    expect(files()).toEqual(before)
  })

  test('counts in the files that QEMU has open, even if the headers lead to others', async () => {
    const chain = await layers()
    await qemuImg('create', '-q', '-f', 'qcow2', `${chain.folder}/else`, '8M')
    await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', 'else', '-F', 'qcow2', pathAt(chain, 1))
    const live = await LiveDisk.start(chain)
    const plan = await (await live.domain()).plan('vda')
    expect(plan).toMatchObject({ bytesFree: expect.any(Number), bytesToMove: 4 * mebibyte })
    expect(plan.released).toEqual([pathAt(chain, 1), pathAt(chain, 2)])
  })
})

/** Wants a plan to be told, first among its refusals or instead of it, what the pull is then refused with. */
async function expectSame(live: LiveDisk, options: PlanOptions, code: string): Promise<void> {
  const domain = await live.domain()
  const error = await expectSameRefusal(
    () => domain.plan('vda', options),
    () => domain.blockPull('vda', options),
  )
  expect(error.code).toBe(code)
}

describe('a plan reports what refuses the pull:', () => {
  test('internal snapshots', async () => {
    const chain = await layers()
    await qemuImg('snapshot', '-c', 'before', chain.top)
    await expectSame(await LiveDisk.start(chain), {}, 'FEATURE_UNSUPPORTED')
  })

  test('a layer that is shorter than those around it', async () => {
    const chain = await makeChain(temp.folder(), { size: '2M' }, { size: '1M' }, { size: '2M' })
    const live = await LiveDisk.start(chain)
    await expectSame(live, { base: pathAt(chain, 2) }, 'UNSUPPORTED')
    expect((await (await live.domain()).plan('vda')).refusals).toEqual([])
  })

  test('a base that is not in the chain', async () => {
    await expectSame(await LiveDisk.start(await layers()), { base: '/nowhere/base' }, 'NO_BASE')
  })

  test.each([
    ['on the disk', 'top', {}],
    ['on a layer that would drop out', 'mid', {}],
    ['on the layer that would stay, with its filter above that', 'low', { base: 'low' }],
  ])('another program’s job %s', async (_, device, options) => {
    const live = await LiveDisk.start(
      await makeChain(
        temp.folder(),
        { name: 'base', size: '8M', io: ['write -P 1 0 4M'] },
        { name: 'low', size: '8M', io: ['write -P 2 3M 3M'] },
        { name: 'mid', size: '8M', io: ['write -P 3 6M 1M'] },
        { name: 'top', size: '8M', io: ['write -P 4 7M 1M'] },
      ),
    )
    const client = await live.client()
    await client.execute('block-stream', { 'job-id': 'theirs', device, speed: 1 })
    await expectSame(live, options, 'JOB_ACTIVE')
    await client.execute('job-cancel', { id: 'theirs' })
    await expect.poll(() => live.jobs()).toEqual([])
    expect((await (await live.domain()).plan('vda', options)).refusals).toEqual([])
  })

  test('but not a job below the base, which does not affect the pull', async () => {
    const named = (name: string, ...io: readonly string[]) => ({ name, size: '32M', io })
    // At its limit of one byte a second a job gets on by 512 KiB whenever QEMU drains.
    const bottom = named('bottom', 'write -P 7 0 32M')
    const above = [named('base'), named('kept'), named('mid', 'write -P 8 0 1M'), named('top')]
    const live = await LiveDisk.start(await makeChain(temp.folder(), bottom, ...above))
    const client = await live.client()
    await client.execute('block-stream', { 'job-id': 'theirs', device: 'base', speed: 1 })
    const domain = await live.domain()
    expect((await domain.plan('vda', { base: 'kept' })).refusals).toEqual([])
    expect(await live.pull({ base: 'kept' })).toMatchObject({ state: 'completed' })
    expect((await live.jobs()).map(({ id }) => id)).toEqual(['theirs'])
    await client.execute('job-cancel', { id: 'theirs' })
  })

  test('a job of ours that keeps another base', async () => {
    const chain = await layers()
    const live = await LiveDisk.start(chain)
    const ours = await (await live.domain()).blockPull('vda', { base: pathAt(chain, 2), bytesPerSecond: 1 })
    await expectSame(live, {}, 'JOB_ACTIVE')
    await ours.abort()
    expect((await (await live.domain()).plan('vda')).refusals).toEqual([])
  })
})
