// SPDX-License-Identifier: Apache-2.0
//
// The process that drives a pull is killed, or leaves, and QEMU goes on with the job. Whoever comes next finds it by
// its id and brings it to its end, with the flushes that this takes. Jobs of other programs are told of and left.

import { afterAll, describe, expect, test } from 'vitest'
import {
  type BlockJobEvent,
  BlockJobStatus,
  BlockJobType,
  type BlockPullOptions,
  type Connection,
} from '../../lib/index.js'
import { makeChain } from '../support/images/stream-case.js'
import { GuestPuller } from '../support/processes/guest-puller.js'
import { LiveDisk, type LiveDiskOptions } from '../support/qemu/live-disk.js'
import { expectWhole } from '../support/qemu/live-verdict.js'
import { finalize, flush, type QmpProxy } from '../support/qemu/qmp-proxy.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('kill-us')
afterAll(() => temp.remove())

const slow = { bytesPerSecond: 1 << 18 }
const ourId = expect.stringMatching(/^blockpull-pull-vda-[0-9a-f]{8}$/)
const waiting = [{ id: ourId, status: 'pending' }]

/** Where the proxy stops a pull: at a command, before QEMU hears of it or once it is done. */
type Point = Parameters<QmpProxy['hold']>
const atPending: Point = [flush, 'before']
const atFinalize: Point = [finalize, 'before']
const onceFinalized: Point = [finalize, 'after']
const atSecondFlush: Point = [flush, 'before', 1]

/** Files top, mid and base: 4 MiB of data below an overlay with a little of its own. */
async function start(options: LiveDiskOptions = {}) {
  const chain = await makeChain(
    temp.folder(),
    { name: 'base', size: '4M', io: ['write -P 1 0 2M'] },
    { name: 'mid', size: '4M', io: ['write -P 2 2M 2M'] },
    { name: 'top', size: '4M', io: ['write -P 3 1M 64k'] },
  )
  const live = await LiveDisk.start(chain, { proxy: true, ...options })
  const proxy = live.proxy as NonNullable<typeof live.proxy>
  const [, mid = '', base = ''] = chain.layers.map(({ path }) => path)
  return { live, proxy, mid, base }
}

type Started = Awaited<ReturnType<typeof start>>

/** A pull in a process of its own, which is killed while the job runs. */
async function killWhileItRuns(live: LiveDisk): Promise<void> {
  const puller = GuestPuller.start(live, slow)
  await puller.running()
  await puller.kill()
}

/** A pull in a process of its own, which is killed at that point. */
async function killAt(point: Point, { live, proxy }: Started, options: BlockPullOptions = {}): Promise<void> {
  const held = proxy.hold(...point)
  const puller = GuestPuller.start(live, options)
  await held.reached
  await puller.kill()
  proxy.cut()
}

/** The next report of a job's end. */
const nextEnd = (connection: Connection) =>
  new Promise<BlockJobEvent>((resolve) => connection.once('blockJob', resolve))

describe('killed', () => {
  test('while the job runs: the next connection finishes it, and reports that', async () => {
    const { live } = await start()
    await killWhileItRuns(live)
    const connection = await live.connect()
    const ended = nextEnd(connection)
    const domain = await connection.lookupByName('vm0')
    await domain.blockJobSetSpeed('vda', '0')
    const { COMPLETED } = BlockJobStatus
    expect(await ended).toMatchObject({ target: 'vda', path: live.chain.top, status: COMPLETED, error: null })
    await expectWhole(live)
  })

  test.each([
    ['at pending', atPending],
    ['flushed and not finalized', atFinalize],
  ])('%s: the next connection finishes it', async (_, point) => {
    const started = await start()
    const { live, base } = started
    await killAt(point, started, { base })
    expect(await live.jobs()).toEqual(waiting)
    const connection = await live.connect()
    expect(await nextEnd(connection)).toMatchObject({ target: 'vda', status: BlockJobStatus.COMPLETED })
    await expectWhole(live, base)
  })

  test.each([
    ['finalized and not flushed again', onceFinalized],
    ['as it asks for the second flush', atSecondFlush],
  ])('%s: the next connection leaves nothing in QEMU, and the image is good', async (_, point) => {
    const started = await start()
    const { live, base } = started
    await killAt(point, started, { base })
    await (await live.domain()).reap()
    await expectWhole(live, base)
  })

  test('at pending: domain.reap() waits for the end, reports it, and it is durable', async () => {
    const started = await start()
    const { live, mid, base } = started
    await killAt(atPending, started)
    const reaped = await (await live.domain()).reap()
    const outcome = { state: 'completed', released: [mid, base] }
    expect(reaped).toMatchObject([{ target: 'vda', path: live.chain.top, outcome }])
    await live.qemu.kill()
    expect(await live.complaints(null, true)).toEqual([])
  })

  test('at pending: a read-only connection sees the job, and changes nothing', async () => {
    const started = await start()
    const { live, proxy } = started
    await killAt(atPending, started)
    const asked = proxy.commands.length
    const connection = await live.connect({ readOnly: true })
    const domain = await connection.lookupByName('vm0')
    expect(await domain.blockJobInfo('vda')).toMatchObject({ type: BlockJobType.PULL, end: 4 << 20, state: 'pending' })
    expect(proxy.commands.slice(asked).filter((name) => !/^(qmp_|query-|x-debug-query-)/.test(name))).toEqual([])
    expect(await live.jobs()).toEqual(waiting)
  })
})

describe('left', () => {
  test('close() in the middle: the outcome here is unknown, and the next connection finishes the job', async () => {
    const { live } = await start()
    const connection = await live.connect()
    const job = await (await connection.lookupByName('vm0')).blockPull('vda', slow)
    const failed = expect(job.done).rejects.toMatchObject({ code: 'CLOSED' })
    await connection.close()
    await failed
    expect(job.outcome).toMatchObject({ state: 'unknown', released: [] })
    expect(await live.jobs()).toEqual([{ id: ourId, status: 'running' }])
    const next = await live.connect()
    const ended = nextEnd(next)
    await (await next.lookupByName('vm0')).blockJobSetSpeed('vda', '0')
    expect(await ended).toMatchObject({ status: BlockJobStatus.COMPLETED })
    await expectWhole(live)
  })

  test.each<[string, Point]>([
    ['is asked to flush', atPending],
    ['has flushed', [flush, 'after']],
    ['is asked to finalize', atFinalize],
    ['has finalized', onceFinalized],
    ['is asked to flush again', atSecondFlush],
  ])('a monitor that breaks as QEMU %s: the job completes', async (_, point) => {
    const { live, proxy } = await start()
    const held = proxy.hold(...point)
    const job = await (await live.domain()).blockPull('vda')
    await held.reached
    proxy.cut()
    expect(await job.done).toMatchObject({ state: 'completed' })
    await expectWhole(live)
  })

  test('a monitor that breaks while block-stream is answered: the job is found, and completes', async () => {
    const { live, proxy } = await start()
    const held = proxy.hold(['block-stream'], 'after')
    const pull = (await live.domain()).blockPull('vda', slow)
    await held.reached
    proxy.cut()
    const job = await pull
    job.setBandwidth('0')
    expect(await job.done).toMatchObject({ state: 'completed' })
    await expectWhole(live)
  })

  test('a job that another program finalizes while we flush: it completes', async () => {
    const { live, proxy } = await start()
    const held = proxy.hold(flush, 'before')
    const job = await (await live.domain()).blockPull('vda')
    await held.reached
    await (await live.client()).execute('job-finalize', { id: (await live.jobs())[0]?.id })
    held.release()
    expect(await job.done).toMatchObject({ state: 'completed' })
    await expectWhole(live)
  })
})

describe('jobs of other programs', () => {
  test.each(['nightly', 'pull-vda-libvirt-1-format', 'blockpull'])('%s is reported and never touched', async (id) => {
    const { live, mid } = await start()
    const client = await live.client()
    const byHand = { 'auto-finalize': false, 'auto-dismiss': false }
    const speed = 1 << 16
    await client.execute('block-stream', { 'job-id': id, device: 'top', speed, ...byHand })
    const domain = await live.domain()
    expect(await domain.blockJobInfo('vda')).toMatchObject({ type: BlockJobType.PULL, bandwidth: speed })
    await expect(domain.blockPull('vda')).rejects.toMatchObject({
      code: 'JOB_ACTIVE',
      message: "Operation not supported: disk 'vda' already in active block job",
      hint: expect.stringMatching(/Node '.*' is busy: block device is in use by block job/),
    })
    await expect(domain.blockJobSetSpeed('vda', '1MiB/s')).rejects.toMatchObject({ code: 'JOB_ACTIVE' })
    await expect(domain.blockJobAbort('vda')).rejects.toMatchObject({ code: 'JOB_ACTIVE' })
    expect(await domain.reap()).toEqual([])
    await client.execute('block-job-set-speed', { device: id, speed: 0 })
    await client.status(id, 'pending')
    expect(await domain.reap()).toEqual([])
    expect(await live.jobs()).toEqual([{ id, status: 'pending' }])
    await live.qemu.kill()
    expect(await live.complaints(mid, true)).toEqual([])
  })

  test('one that has concluded but was not dismissed is not changed by a reap', async () => {
    const { live } = await start()
    const client = await live.client()
    await client.execute('block-stream', { 'job-id': 'theirs', device: 'top', 'auto-dismiss': false })
    await client.status('theirs', 'concluded')
    expect(await (await live.domain()).reap()).toEqual([])
    expect(await live.jobs()).toEqual([{ id: 'theirs', status: 'concluded' }])
    await live.shutOff()
  })
})
