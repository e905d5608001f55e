// SPDX-License-Identifier: Apache-2.0
//
// Limits in real time. That no second ever exceeds its limit is proven on a fake clock (rate_limiter_test.cc) and
// holds here as well, in every try, since the bytes are counted where they are issued. That a limit is reached, or a
// call is quick, depends on what else the machine does: so there it is the median second or round that must, in one
// try of a few.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { type BlockJob, pullImage } from '../../lib/index.js'
import { check } from '../support/qemu.js'
import { makeChain, pullWell } from '../support/stream-case.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('bandwidth')
afterAll(() => temp.remove())

const mebibyte = 1048576

/** What had been moved at some instant between two times, in seconds: the system may look away in between. */
interface Sample {
  readonly after: number
  readonly bytes: number
  readonly before: number
}

function sample(job: BlockJob<number>): Sample {
  return { after: performance.now() / 1000, bytes: job.progress.bytesMoved, before: performance.now() / 1000 }
}

/** Bytes a second from one sample to another, at least. */
function rate(from: Sample, to: Sample): number {
  return (to.bytes - from.bytes) / (to.before - from.after)
}

/** Samples a job for so many seconds, every 10 ms. */
async function watch(job: BlockJob<number>, seconds: number): Promise<Sample[]> {
  const samples = [sample(job)]
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    await sleep(10)
    samples.push(sample(job))
  }
  return samples
}

/** Bytes a second of every span that lasts a second or a little more, sorted. */
function ratesOfSeconds(samples: readonly Sample[]): number[] {
  const rates = samples.flatMap((from) => {
    const to = samples.find(({ before }) => before - from.after >= 1)
    return to === undefined ? [] : [rate(from, to)]
  })
  return rates.sort((a, b) => a - b)
}

/** The middle of sorted numbers. */
function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Tries until what is measured is `enough`; the last one counts. */
async function untilEnough<T>(tries: number, measure: () => Promise<T>, enough: (measured: T) => boolean): Promise<T> {
  const measured = await measure()
  return tries === 1 || enough(measured) ? measured : await untilEnough(tries - 1, measure, enough)
}

async function overlay(mebibytes: number) {
  const size = `${mebibytes}M`
  return makeChain(temp.folder(), { size, io: [`write -P 1 0 ${size}`] }, { size })
}

describe('a limit', () => {
  test.each([1, 10, 100])('of %i MiB/s is kept in every second and reached in the median one', async (limit) => {
    const reached = 0.98 * limit * mebibyte
    const measure = async () => {
      const { top } = await overlay(limit * 4)
      const job = await pullImage(top, { bytesPerSecond: limit * mebibyte })
      const rates = ratesOfSeconds(await watch(job, 2.5))
      await job.abort()
      expect(rates.at(-1)).toBeLessThanOrEqual(1.02 * limit * mebibyte)
      return median(rates)
    }
    expect(await untilEnough(5, measure, (rate) => rate >= reached)).toBeGreaterThanOrEqual(reached)
  })

  test('that is raised is in force within 50 ms', async () => {
    const measure = async () => {
      const { top } = await overlay(64)
      const job = await pullImage(top, { bytesPerSecond: mebibyte })
      await sleep(300)
      job.setBandwidth({ bytesPerSecond: 100 * mebibyte })
      await sleep(50)
      const samples = await watch(job, 0.3)
      await job.abort()
      return spanRate(samples)
    }
    const raised = 80 * mebibyte
    expect(await untilEnough(5, measure, (rate) => rate > raised)).toBeGreaterThan(raised)
  })

  test('that is lowered is in force within 50 ms', async () => {
    const { top } = await overlay(64)
    const job = await pullImage(top, { bytesPerSecond: 50 * mebibyte })
    await sleep(300)
    job.setBandwidth({ bytesPerSecond: mebibyte })
    await sleep(50)
    const samples = await watch(job, 1)
    await job.abort()
    expect(spanRate(samples)).toBeLessThanOrEqual(1.02 * mebibyte)
  })

  test('that is lifted holds nothing up any more', async () => {
    const chain = await overlay(16)
    const job = await pullImage(chain.top, { bytesPerSecond: 65536 })
    await sleep(100)
    const lifted = performance.now()
    job.setBandwidth({ bytesPerSecond: 0 })
    await job.done
    expect(performance.now() - lifted).toBeLessThan(5000)
    expect((await check(chain.top)).code).toBe(0)
  })

  test('of a byte a second moves next to nothing, and can be aborted', async () => {
    const chain = await overlay(4)
    const job = await pullImage(chain.top, { bytesPerSecond: 1 })
    await sleep(500)
    expect(job.progress.bytesMoved).toBeLessThanOrEqual(4096)
    await job.abort()
    await pullWell(chain)
  })
})

function spanRate(samples: readonly Sample[]): number {
  const [from] = samples
  const to = samples.at(-1)
  if (from === undefined || to === undefined) throw new RangeError('no samples')
  return rate(from, to)
}

describe('an abort', () => {
  test.each([
    ['of a slow pull', 65536],
    ['of a pull at full speed', 0],
  ])('%s takes no more than 100 ms', async (_how, bytesPerSecond) => {
    const chain = await overlay(256)
    const measure = async () => {
      const times: number[] = []
      for (let round = 0; round < 5; round++) {
        const job = await pullImage(chain.top, { bytesPerSecond })
        await sleep(20)
        const asked = performance.now()
        await job.abort()
        expect(job.outcome?.state).toBe('cancelled')
        times.push(performance.now() - asked)
      }
      return median(times.sort((a, b) => a - b))
    }
    expect(await untilEnough(2, measure, (milliseconds) => milliseconds < 100)).toBeLessThan(100)
    await pullWell(chain)
  })
})
