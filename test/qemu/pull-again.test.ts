// SPDX-License-Identifier: Apache-2.0
//
// A pull that is asked for again, after the process that made it was killed: it goes on from where it was and
// completes, whether the new connection has found the job by then or not. Nobody has to know of the job that was left.

import { afterAll, describe, expect, test } from 'vitest'
import type { BlockPullOptions } from '../../lib/index.js'
import { makeChain } from '../support/images/stream-case.js'
import { GuestPuller } from '../support/processes/guest-puller.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { expectWhole } from '../support/qemu/live-verdict.js'
import { finalize, flush } from '../support/qemu/qmp-proxy.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('pull-again')
afterAll(() => temp.remove())

/** Files top, mid and base; the job that was left runs slowly. */
async function start() {
  const chain = await makeChain(
    temp.folder(),
    { name: 'base', size: '4M', io: ['write -P 1 0 2M'] },
    { name: 'mid', size: '4M', io: ['write -P 2 2M 2M'] },
    { name: 'top', size: '4M', io: ['write -P 3 1M 64k'] },
  )
  const live = await LiveDisk.start(chain, { proxy: true })
  const [, mid = '', base = ''] = chain.layers.map(({ path }) => path)
  return { live, mid, base }
}

async function startLeft(options: BlockPullOptions = {}) {
  const started = await start()
  const puller = GuestPuller.start(started.live, { bytesPerSecond: 1 << 16, ...options })
  await puller.running()
  await puller.kill()
  return started
}

describe('while the job runs', () => {
  test('by a new connection', async () => {
    const { live, mid, base } = await startLeft()
    expect(await live.pull()).toMatchObject({ state: 'completed', released: [mid, base] })
    await expectWhole(live)
  })

  test('by a connection that already tracks the job: under the new limit', async () => {
    const { live } = await startLeft()
    const domain = await live.domain()
    await domain.blockJobSetSpeed('vda', '1KiB/s')
    const job = await domain.blockPull('vda', { bytesPerSecond: 1 << 17 })
    expect(job.progress).toMatchObject({ state: 'running', bandwidth: 1 << 17 })
    const client = await live.client()
    await expect.poll(() => client.execute('query-block-jobs')).toMatchObject([{ speed: 1 << 17 }])
    await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'JOB_ACTIVE' })
    expect(await job.abort()).toMatchObject({ state: 'cancelled' })
    await live.pull()
    await expectWhole(live)
  })

  test('by a connection that is ending it: refused until it has ended', async () => {
    const { live } = await startLeft()
    const domain = await live.domain()
    await domain.blockJobSetSpeed('vda', '64KiB/s')
    const aborting = domain.blockJobAbort('vda')
    await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'JOB_ACTIVE' })
    await aborting
    await (await domain.blockPull('vda')).done
    await expectWhole(live)
  })

  test('down to the base that it keeps', async () => {
    const { live, base } = await startLeft({ base: 'vda[2]' })
    expect(await live.pull({ base })).toMatchObject({ state: 'completed' })
    await expectWhole(live, base)
  })

  test('down to another base: refused, and the job continues', async () => {
    const { live } = await startLeft()
    const domain = await live.domain()
    await domain.blockJobSetSpeed('vda', '64KiB/s')
    await expect(domain.blockPull('vda', { base: 'vda[2]' })).rejects.toMatchObject({ code: 'JOB_ACTIVE' })
    expect(await live.jobs()).toMatchObject([{ status: 'running' }])
    await (await domain.blockPull('vda')).done
    await expectWhole(live)
  })

  test('by a pull without waiting: it joins like any other', async () => {
    const { live } = await startLeft()
    const domain = await live.domain()
    const job = await domain.blockPull('vda', { detached: true })
    expect(await job.done).toMatchObject({ state: 'completed', verified: true })
    await expectWhole(live)
  })

  test('a plan reports no refusal', async () => {
    const { live } = await startLeft()
    const domain = await live.domain()
    await domain.blockJobSetSpeed('vda', '64KiB/s')
    expect(await domain.plan('vda')).toMatchObject({ refusals: [] })
    await (await domain.blockPull('vda')).done
    await expectWhole(live)
  })
})

test.each([
  ['the first flush', flush, 0],
  ['finalizing', finalize, 0],
  ['the last flush', flush, 1],
] as const)('killed before %s', async (_, commands, passing) => {
  const { live } = await start()
  const proxy = live.proxy as NonNullable<typeof live.proxy>
  const held = proxy.hold(commands, 'before', passing)
  const puller = GuestPuller.start(live)
  await held.reached
  await puller.kill()
  proxy.cut()
  expect(await live.pull()).toMatchObject({ state: 'completed' })
  await expectWhole(live)
})

describe('killed again while it takes over the orphaned job', () => {
  test.each([
    ['before the limit of the job is set again', 'block-job-set-speed', 'before'],
    ['between its limit and its resumption', 'block-job-resume', 'before'],
    ['once it was resumed', 'block-job-resume', 'after'],
  ] as const)('%s: the job continues, and the same call joins it', async (_, command, side) => {
    const { live, mid, base } = await startLeft()
    const proxy = live.proxy as NonNullable<typeof live.proxy>
    const held = proxy.hold([command], side)
    const puller = GuestPuller.start(live, { bytesPerSecond: 1 << 17 })
    await held.reached
    await puller.kill()
    proxy.cut()
    expect(await live.jobs()).toMatchObject([{ status: 'running' }])
    expect(await live.pull()).toMatchObject({ state: 'completed', released: [mid, base] })
    await expectWhole(live)
  })

  test('before block-stream, without the orphaned filter: the old chain, and the same call completes', async () => {
    const { live, base } = await start()
    const proxy = live.proxy as NonNullable<typeof live.proxy>
    const flushing = proxy.hold(flush, 'after', 1)
    const first = GuestPuller.start(live, { base })
    await flushing.reached
    await first.kill()
    proxy.cut()
    const streaming = proxy.hold(['block-stream'], 'before')
    const second = GuestPuller.start(live)
    await streaming.reached
    await second.kill()
    proxy.cut()
    expect(await live.jobs()).toEqual([])
    // The node of the layer that the first pull dropped is still there, over the base.
    const { released, warnings } = await live.pull()
    expect(released).toEqual([])
    expect(warnings).toEqual([expect.stringMatching(/node 'mid', which no disk shows/)])
    await expectWhole(live)
  })
})
