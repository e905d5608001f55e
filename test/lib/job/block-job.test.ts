// SPDX-License-Identifier: Apache-2.0
//
// A job: how it ends in every way, what iteration gives, what a signal does, and who hears of a failure.
// Updates come from the test, so nothing here waits for time to pass.

import { getEventListeners } from 'node:events'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { imageCalls } from '../../../lib/images.js'
import { type BlockJob, startJob } from '../../../lib/job/block-job.js'
import type { PullImageOptions } from '../../../lib/options/option-types.js'
import { BlockPullError } from '../../../lib/results/errors.js'
import type { Progress } from '../../../lib/results/structs.js'
import { FakeBinding, FakeJob, failure, mebibyte, outcomeOf, progressAt, turn } from '../fake-binding.js'

const stray = vi.fn()
process.on('unhandledRejection', stray)
afterEach(() => {
  expect(stray).not.toHaveBeenCalled()
})

async function started(signal: AbortSignal | null = null) {
  const onJobFailed = vi.fn()
  let fake: FakeJob | undefined
  const job = await startJob<number>({
    start: async (send) => {
      fake = new FakeJob(send)
      return fake
    },
    signal,
    bigint: false,
    onJobFailed,
  })
  return { job, fake: fake as FakeJob, onJobFailed }
}

async function collect(job: AsyncIterable<Progress>): Promise<number[]> {
  const seen: number[] = []
  for await (const { cur } of job) seen.push(cur / Number(mebibyte))
  return seen
}

describe('done', () => {
  it('resolves with what was done once the job has completed', async () => {
    const { job, fake } = await started()
    expect(job.outcome).toBeNull()
    fake.end(outcomeOf('completed'))
    await expect(job.done).resolves.toEqual({
      state: 'completed',
      error: null,
      verified: true,
      durable: true,
      trailingData: null,
      bytesMoved: 104857600,
      seconds: 2,
      method: 'io_uring',
      released: ['/srv/base.qcow2'],
      releasedBytes: null,
      warnings: [],
    })
    expect(job.outcome?.state).toBe('completed')
    expect(job.progress).toMatchObject({ state: 'completed', cur: 104857600, end: 104857600 })
  })

  it.each([
    ['failed', 'NO_SPACE'],
    ['cancelled', 'CANCELLED'],
    ['unknown', 'JOB_VANISHED'],
  ] as const)('rejects when the job is %s', async (state, code) => {
    const { job, fake } = await started()
    fake.end(outcomeOf(state, failure(code, { bytesNeeded: 4096n })))
    await expect(job.done).rejects.toMatchObject({ code, bytesNeeded: 4096 })
    expect(job.outcome).toMatchObject({ state, bytesMoved: 104857600, error: { code } })
  })

  it('carries the stack of the call that started the job', async () => {
    async function whoeverStarts() {
      return await started()
    }
    const { job, fake } = await whoeverStarts()
    fake.end(outcomeOf('failed', failure('IO')))
    const error = await job.done.catch((reason: Error) => reason)
    expect((error as Error).stack).toMatch(/^BlockPullError: IO happened/)
    expect((error as Error).stack).toContain('started')
  })

  it('holds when the outcome comes before the start has resolved', async () => {
    const binding = new FakeBinding()
    binding.onStart = (job) => job.end(outcomeOf('completed'))
    const job = await imageCalls(() => binding).pullImage('a.qcow2')
    await expect(job.done).resolves.toMatchObject({ state: 'completed' })
    await expect(collect(job)).resolves.toEqual([100])
  })

  it('is settled once: later updates change nothing', async () => {
    const { job, fake } = await started()
    fake.end(outcomeOf('failed', failure('IO')))
    fake.end(outcomeOf('completed'))
    await expect(job.done).rejects.toMatchObject({ code: 'IO' })
    expect(job.progress.state).toBe('failed')
  })
})

describe('a failure that nobody awaits', () => {
  it('is reported once, and never an unhandled rejection', async () => {
    const { job, fake, onJobFailed } = await started()
    fake.end(outcomeOf('failed', failure('IO')))
    await turn()
    await turn()
    expect(onJobFailed).toHaveBeenCalledTimes(1)
    expect(onJobFailed).toHaveBeenCalledWith(expect.objectContaining({ code: 'IO' }), job)
  })

  it('is not reported when done was read before, or in the turn of the end', async () => {
    const { job, fake, onJobFailed } = await started()
    const done = job.done.catch(() => 'caught')
    fake.end(outcomeOf('failed', failure('IO')))
    await turn()
    await expect(done).resolves.toBe('caught')
    const other = await started()
    other.fake.end(outcomeOf('failed', failure('IO')))
    await expect(other.job.done).rejects.toThrow()
    await turn()
    expect(onJobFailed).not.toHaveBeenCalled()
    expect(other.onJobFailed).not.toHaveBeenCalled()
  })

  it('waits for a slow loop, after which done is usually awaited', async () => {
    const { job, fake, onJobFailed } = await started()
    for await (const progress of job) {
      if (progress.state === 'running') fake.end(outcomeOf('failed', failure('IO')))
      await turn()
      await turn()
    }
    await expect(job.done).rejects.toMatchObject({ code: 'IO' })
    await turn()
    expect(onJobFailed).not.toHaveBeenCalled()
  })

  it('is reported after the loop when done is not awaited then either', async () => {
    const { job, fake, onJobFailed } = await started()
    for await (const progress of job) {
      if (progress.state === 'running') fake.end(outcomeOf('failed', failure('IO')))
    }
    await turn()
    await turn()
    expect(onJobFailed).toHaveBeenCalledTimes(1)
  })

  it('is not reported for a job that was cancelled or completed', async () => {
    const { job, onJobFailed } = await started()
    await job.abort()
    const other = await started()
    other.fake.end(outcomeOf('completed'))
    await turn()
    await turn()
    expect(onJobFailed).not.toHaveBeenCalled()
    expect(other.onJobFailed).not.toHaveBeenCalled()
  })
})

describe('iteration', () => {
  it('gives the latest value, never a backlog', async () => {
    const { job, fake } = await started()
    const seen: number[] = []
    for await (const { cur } of job) {
      seen.push(cur / Number(mebibyte))
      if (seen.length === 1) for (const at of [10n, 20n, 30n]) fake.move(at)
      if (seen.length === 2) fake.end(outcomeOf('completed'))
    }
    expect(seen).toEqual([0, 30, 100])
  })

  it.each(['completed', 'failed', 'cancelled', 'unknown'] as const)(
    'ends normally when the job is %s',
    async (state) => {
      const { job, fake } = await started()
      const seen = collect(job)
      await turn()
      fake.end(outcomeOf(state))
      await expect(seen).resolves.toEqual([0, state === 'completed' ? 100 : 40])
    },
  )

  it('may stop and start again without cancelling the job', async () => {
    const { job, fake } = await started()
    for await (const _ of job) break
    expect(fake.calls).toEqual([])
    fake.move(50n)
    fake.end(outcomeOf('completed'))
    await expect(collect(job)).resolves.toEqual([100])
    await expect(collect(job)).resolves.toEqual([100])
  })

  it('serves several loops at once', async () => {
    const { job, fake } = await started()
    const both = Promise.all([collect(job), collect(job)])
    await turn()
    fake.move(50n)
    await turn()
    fake.end(outcomeOf('completed'))
    await expect(both).resolves.toEqual([
      [0, 50, 100],
      [0, 50, 100],
    ])
  })

  it('gives the time left at the current rate, and none without a rate', async () => {
    const { job, fake } = await started()
    expect(job.progress.etaSeconds).toBe(10)
    fake.move(50n)
    expect(job.progress.etaSeconds).toBe(5)
    fake.move(50n, { bytesPerSecond: 0n })
    expect(job.progress.etaSeconds).toBeNull()
  })
})

describe('abort', () => {
  it('resolves with the outcome, and done rejects with CANCELLED', async () => {
    const { job, fake } = await started()
    await expect(job.abort()).resolves.toMatchObject({ state: 'cancelled', error: { code: 'CANCELLED' } })
    await expect(job.done).rejects.toMatchObject({ code: 'CANCELLED', name: 'BlockPullError' })
    expect(fake.calls).toEqual(['abort'])
  })

  it('that comes too late gives the completed outcome and asks nothing of the job', async () => {
    const { job, fake } = await started()
    fake.end(outcomeOf('completed'))
    await expect(job.abort()).resolves.toMatchObject({ state: 'completed' })
    expect(fake.calls).toEqual([])
  })

  it('is what leaving an await-using block does', async () => {
    const { job, fake } = await started()
    await job[Symbol.asyncDispose]()
    expect(fake.calls).toEqual(['abort'])
  })
})

describe('a signal', () => {
  const reason = new Error('shutting down')

  it('that is aborted already starts nothing', async () => {
    const binding = new FakeBinding()
    const pulled = imageCalls(() => binding).pullImage('a.qcow2', { signal: AbortSignal.abort(reason) })
    await expect(pulled).rejects.toMatchObject({ name: 'AbortError', cause: reason })
    expect(binding.calls).toEqual([])
  })

  it('ends a running job, and done rejects with an AbortError', async () => {
    const controller = new AbortController()
    const { job, fake } = await started(controller.signal)
    controller.abort(reason)
    await expect(job.done).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    expect(job.outcome).toMatchObject({ state: 'cancelled', bytesMoved: 104857600 })
    expect(fake.calls).toEqual(['abort'])
  })

  it('that is aborted while the job starts ends it before the call rejects', async () => {
    const controller = new AbortController()
    const binding = new FakeBinding()
    binding.onStart = () => controller.abort(reason)
    const pulled = imageCalls(() => binding).pullImage('a.qcow2', { signal: controller.signal })
    await expect(pulled).rejects.toMatchObject({ name: 'AbortError', cause: reason })
    expect(binding.job.calls).toEqual(['abort'])
    expect(binding.job.latest.state).toBe('cancelled')
  })

  it('that is aborted too late leaves the job completed', async () => {
    const controller = new AbortController()
    const { job, fake } = await started(controller.signal)
    fake.onAbort = outcomeOf('completed')
    controller.abort()
    await expect(job.done).resolves.toMatchObject({ state: 'completed' })
  })

  it('does not hide a failure behind itself', async () => {
    const controller = new AbortController()
    const { job, fake } = await started(controller.signal)
    fake.onAbort = outcomeOf('failed', failure('IO'))
    controller.abort()
    await expect(job.done).rejects.toMatchObject({ code: 'IO' })
  })

  it('ends all of many jobs', async () => {
    const controller = new AbortController()
    const jobs = await Promise.all(Array.from({ length: 30 }, () => started(controller.signal)))
    controller.abort(reason)
    const ends = await Promise.all(jobs.map(({ job }) => job.done.catch((error: Error) => error.name)))
    expect(new Set(ends)).toEqual(new Set(['AbortError']))
  })

  it('may serve many jobs, and keeps no listener of an ended one', async () => {
    const warned = vi.fn()
    process.on('warning', warned)
    const controller = new AbortController()
    const jobs = await Promise.all(Array.from({ length: 30 }, () => started(controller.signal)))
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    for (const { fake } of jobs) fake.end(outcomeOf('completed'))
    await Promise.all(jobs.map(({ job }) => job.done))
    await turn()
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    expect(warned).not.toHaveBeenCalled()
    process.off('warning', warned)
  })
})

describe('a running job', () => {
  it.each([[50], ['50'], [{}], [undefined]])('refuses %o as a new limit', async (limit) => {
    const { job, fake } = await started()
    expect(() => job.setBandwidth(limit as unknown as string)).toThrow(TypeError)
    expect(fake.calls).toEqual([])
  })

  it('takes a new limit at once, and none after its end', async () => {
    const { job, fake } = await started()
    job.setBandwidth('1M')
    expect(job.progress.bandwidth).toBe(1048576)
    job.setBandwidth({ bytesPerSecond: 0 })
    fake.end(outcomeOf('completed'))
    job.setBandwidth('1M')
    expect(fake.calls).toEqual(['setBandwidth 1048576', 'setBandwidth 0'])
  })

  it('can let the process go, and hold it again', async () => {
    const { job, fake } = await started()
    expect(job.unref()).toBe(job)
    expect(job.ref()).toBe(job)
    expect(fake.calls).toEqual(['unref', 'ref'])
  })
})

describe('a size over 2^53', () => {
  async function pullHuge(options: PullImageOptions) {
    const binding = new FakeBinding()
    binding.onStart = (job) => {
      job.latest = progressAt(0n, { end: 2n ** 60n })
    }
    return { binding, pulled: imageCalls(() => binding).pullImage('a.qcow2', options) }
  }

  it('is a RangeError, and the job is ended first', async () => {
    const { binding, pulled } = await pullHuge({})
    await expect(pulled).rejects.toThrow(RangeError)
    await expect(pulled).rejects.toThrow(/^end is 1152921504606846976, .* \{ bigint: true \}$/)
    expect(binding.job.calls).toEqual(['abort'])
  })

  it('comes as a bigint if asked for', async () => {
    const { binding, pulled } = await pullHuge({ bigint: true })
    const job = (await pulled) as unknown as BlockJob<bigint>
    expect(job.progress.end).toBe(2n ** 60n)
    expect(job.progress.cur).toBe(0n)
    binding.job.end(outcomeOf('completed'))
    await expect(job.done).resolves.toMatchObject({ bytesMoved: 104857600n })
  })
})

describe('an image job that fails unseen', () => {
  it('becomes a process warning and nothing is thrown', async () => {
    const binding = new FakeBinding()
    await imageCalls(() => binding).pullImage('a.qcow2')
    const warned = new Promise<Error>((resolve) => {
      process.once('warning', resolve)
    })
    binding.job.end(outcomeOf('failed', failure('IO')))
    await expect(warned).resolves.toMatchObject({ name: 'BlockPullWarning', code: 'IO' })
  })

  it('is a plain rejection when it does not even start', async () => {
    const binding = new FakeBinding()
    binding.failures.set('pullImage', failure('LOCKED', { holder: 'pid 1 (x)' }))
    const pulled = imageCalls(() => binding).pullImage('a.qcow2')
    await expect(pulled).rejects.toBeInstanceOf(BlockPullError)
    await expect(pulled).rejects.toMatchObject({ code: 'LOCKED', holder: 'pid 1 (x)', retryable: true })
  })
})
