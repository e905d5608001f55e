// SPDX-License-Identifier: Apache-2.0
//
// A live pull that meets an error, in the backing file or in the top: it fails, or waits until somebody resumes it,
// as `onError` says. These are the error cases of QEMU's iotest 030, whose names the titles have.

import { afterAll, describe, expect, test } from 'vitest'
import { makeChain, pathAt } from '../support/images/stream-case.js'
import { blockdevArgs, LiveDisk } from '../support/qemu/live-disk.js'
import { expectWhole } from '../support/qemu/live-verdict.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('live-errors')
afterAll(() => temp.remove())

const healthy = () =>
  makeChain(
    temp.folder(),
    { name: 'base', format: 'raw', size: '1M', io: ['write -P 5 0 1M'] },
    { name: 'top', size: '1M' },
  )

/** The guest's disk with `layer`, 0 the top, behind a blkdebug that fails by this rule, once or always. */
async function failing(layer: number, rule: object, once = true): Promise<LiveDisk> {
  const chain = await healthy()
  const diskArgs = blockdevArgs(chain).map((arg) => {
    if (!arg.includes(`"filename":"${pathAt(chain, layer)}"`)) return arg
    const node = JSON.parse(arg)
    const image = { driver: 'file', filename: node.file.filename }
    return JSON.stringify({
      ...node,
      file: { driver: 'blkdebug', image, 'inject-error': [{ ...rule, once }] },
    })
  })
  return await LiveDisk.start(chain, { diskArgs })
}

describe('by default', () => {
  test.each([
    ['TestEIO: the backing file cannot be read', 1, { event: 'read_aio', errno: 5, sector: 1024 }, 'IO'],
    ['TestEIO: the top cannot be written', 0, { event: 'write_aio', errno: 5 }, 'IO'],
    ['TestENOSPC: the backing file says so', 1, { event: 'read_aio', errno: 28, sector: 1024 }, 'NO_SPACE'],
    ['TestENOSPC: the top has no room', 0, { event: 'write_aio', errno: 28 }, 'NO_SPACE'],
  ])('%s: the job fails, and a second pull completes', async (_, layer, rule, code) => {
    const words = code === 'IO' ? /Input\/output error/ : /No space left on device/
    const live = await failing(layer, rule)
    const job = await (await live.domain()).blockPull('vda')
    const message = expect.stringMatching(words)
    await expect(job.done).rejects.toMatchObject({ code, message, path: live.chain.top })
    expect(job.outcome).toMatchObject({ state: 'failed', released: [] })
    expect(await live.jobs()).toEqual([])
    expect(await (await live.client()).execute('query-block')).toMatchObject([{ inserted: { backing_file_depth: 1 } }])
    expect(await live.pull()).toMatchObject({ state: 'completed' })
    await expectWhole(live, null)
  })
})

/** A guest in which an earlier connection has left a job that waits: the top has no room. */
async function leftWaiting(): Promise<LiveDisk> {
  const live = await failing(0, { event: 'write_aio', errno: 28 })
  const first = await live.connect()
  const left = await (await first.lookupByName('vm0')).blockPull('vda', { onError: 'stop' })
  await expect.poll(() => left.progress.stoppedOn).toBe('NO_SPACE')
  await first.close()
  return live
}

describe('with an error to wait on', () => {
  const brokenOnce = [
    ['the backing file cannot be read', 1, { event: 'read_aio', errno: 5, sector: 1024 }, 'stop', 'IO'],
    ['the backing file says that it is full', 1, { event: 'read_aio', errno: 28, sector: 1024 }, 'enospc', 'NO_SPACE'],
    ['the top has no room', 0, { event: 'write_aio', errno: 28 }, 'stop', 'NO_SPACE'],
  ] as const

  test.each(brokenOnce)(
    'test_stop, %s: the job waits, is resumed, and completes',
    async (_, layer, rule, onError, code) => {
      const live = await failing(layer, rule)
      const domain = await live.domain()
      const job = await domain.blockPull('vda', { onError })
      await expect.poll(() => job.progress.stoppedOn).toBe(code)
      expect(await live.jobs()).toMatchObject([{ status: 'paused' }])
      expect(await domain.blockJobInfo('vda')).toMatchObject({ stoppedOn: code })
      await domain.blockJobResume('vda')
      expect(job.progress.stoppedOn).toBeNull()
      expect(await job.done).toMatchObject({ state: 'completed' })
      await expectWhole(live, null)
    },
  )

  test('test_enospc: an error other than a full disk fails a job that waits on full disks only', async () => {
    const live = await failing(1, { event: 'read_aio', errno: 5, sector: 1024 })
    await expect(live.pull({ onError: 'enospc' })).rejects.toMatchObject({ code: 'IO' })
    expect(await live.pull()).toMatchObject({ state: 'completed' })
    await expectWhole(live, null)
  })

  test('a job that waits on an error is aborted, and a second pull completes', async () => {
    const live = await failing(0, { event: 'write_aio', errno: 28 })
    const job = await (await live.domain()).blockPull('vda', { onError: 'stop' })
    await expect.poll(() => job.progress.stoppedOn).toBe('NO_SPACE')
    expect(await job.abort()).toMatchObject({ state: 'cancelled' })
    expect(job.progress.stoppedOn).toBeNull()
    expect(await live.pull()).toMatchObject({ state: 'completed' })
    await expectWhole(live, null)
  })

  test('an orphaned job that waits on an error is shown, continues with a second pull, and completes', async () => {
    const live = await leftWaiting()
    const seen = await (await live.connect({ readOnly: true })).lookupByName('vm0')
    expect(await seen.blockJobInfo('vda')).toMatchObject({ stoppedOn: 'NO_SPACE' })
    expect(await live.pull()).toMatchObject({ state: 'completed' })
    await expectWhole(live, null)
  })

  test('an orphaned job that waits on an error fails with it when reaped, and a second pull completes', async () => {
    const live = await leftWaiting()
    const [reaped] = await (await live.domain()).reap()
    expect(reaped).toMatchObject({ target: 'vda', outcome: { state: 'failed', error: { code: 'NO_SPACE' } } })
    expect(await live.pull()).toMatchObject({ state: 'completed' })
    await expectWhole(live, null)
  })

  test.each([
    ['by a new connection', false],
    ['by one that follows it', true],
  ])('an orphaned job that waits, and is pulled again %s, fails at its next error', async (_, isFollowed) => {
    const live = await failing(0, { event: 'write_aio', errno: 28 }, false)
    const first = await live.connect()
    const left = await (await first.lookupByName('vm0')).blockPull('vda', { onError: 'stop' })
    await expect.poll(() => left.progress.stoppedOn).toBe('NO_SPACE')
    await first.close()
    const domain = await live.domain()
    if (isFollowed) await domain.blockJobSetSpeed('vda', '0')
    const job = await domain.blockPull('vda')
    await expect(job.done).rejects.toMatchObject({ code: 'NO_SPACE' })
    await expectWhole(live, pathAt(live.chain, 1))
  })

  test('a reap does not fail a waiting job of its own connection', async () => {
    const live = await failing(0, { event: 'write_aio', errno: 28 })
    const domain = await live.domain()
    const job = await domain.blockPull('vda', { onError: 'stop' })
    await expect.poll(() => job.progress.stoppedOn).toBe('NO_SPACE')
    const reaping = domain.reap()
    await domain.listDisks()
    await domain.blockJobResume('vda')
    expect(await job.done).toMatchObject({ state: 'completed' })
    expect(await reaping).toMatchObject([{ outcome: { state: 'completed' } }])
    await expectWhole(live, null)
  })

  test('a QEMU that is killed while a job waits on an error leaves the old chain, and the content whole', async () => {
    const live = await leftWaiting()
    await live.qemu.kill()
    expect(await live.complaints(pathAt(live.chain, 1), true)).toEqual([])
  })

  test('resuming a running job does nothing, and resuming without a job fails', async () => {
    const live = await LiveDisk.start(await healthy())
    const domain = await live.domain()
    const job = await domain.blockPull('vda', { bytesPerSecond: 1 << 16 })
    await domain.blockJobResume('vda')
    expect(job.progress).toMatchObject({ state: 'running', stoppedOn: null })
    await job.abort()
    await expect(domain.blockJobResume('vda')).rejects.toMatchObject({ code: 'NO_JOB' })
    await expectWhole(live, pathAt(live.chain, 1))
  })

  test('a pull that stops on an error is refused if nobody could resume it', async () => {
    const live = await LiveDisk.start(await healthy())
    const domain = await live.domain()
    const refused = { code: 'UNSUPPORTED', message: expect.stringContaining('not supported') }
    await expect(domain.blockPull('vda', { onError: 'stop', detached: true })).rejects.toMatchObject(refused)
    expect(await live.jobs()).toEqual([])
    await live.shutOff()
    await expect.poll(() => domain.blockPull('vda', { onError: 'stop' }).catch((error) => error)).toMatchObject(refused)
  })
})
