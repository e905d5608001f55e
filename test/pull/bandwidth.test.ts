// SPDX-License-Identifier: Apache-2.0
//
// Limits in real time: what holds however busy the machine is. No second exceeds its limit, since the bytes are counted
// where they are issued. That a limit is reached, and how soon a new one is in force, is proven on a fake clock
// (rate_limiter_test.cc) and measured by bench/service.mjs, as is the time of an abort.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { type BlockJob, pullImage } from '../../lib/index.js'
import { makeChain, pullWell } from '../support/images/stream-case.js'
import { check } from '../support/qemu/qemu.js'
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

async function overlay(mebibytes: number) {
  const size = `${mebibytes}M`
  return makeChain(temp.folder(), { size, io: [`write -P 1 0 ${size}`] }, { size })
}

describe('a limit', () => {
  test.each([1, 10, 100])('of %i MiB/s is exceeded in no second', async (limit) => {
    const { top } = await overlay(limit * 4)
    const job = await pullImage(top, { bytesPerSecond: limit * mebibyte })
    const samples = await watch(job, 2.5)
    await job.abort()
    expect(samples.at(-1)?.bytes).toBeGreaterThan(0)
    expect(ratesOfSeconds(samples).at(-1)).toBeLessThanOrEqual(1.02 * limit * mebibyte)
  })

  test('that is raised applies at once: a pull of hours ends', async () => {
    const chain = await overlay(64)
    const job = await pullImage(chain.top, { bytesPerSecond: 4096 })
    job.setBandwidth({ bytesPerSecond: 64 * mebibyte })
    expect(await job.done).toMatchObject({ state: 'completed', bytesMoved: 64 * mebibyte })
    expect((await check(chain.top)).code).toBe(0)
  })

  test('that is lowered applies at once: in the end no second exceeds it', async () => {
    const { top } = await overlay(64)
    const job = await pullImage(top, { bytesPerSecond: 2 * mebibyte })
    job.setBandwidth({ bytesPerSecond: mebibyte / 4 })
    await sleep(50)
    const isHeld = async () => (ratesOfSeconds(await watch(job, 1.2)).at(-1) ?? 0) <= (1.02 * mebibyte) / 4
    expect((await isHeld()) || (await isHeld())).toBe(true)
    expect(job.outcome).toBeNull()
    await job.abort()
  })

  test('that is lifted no longer applies: a pull of minutes ends', async () => {
    const chain = await overlay(16)
    const job = await pullImage(chain.top, { bytesPerSecond: 65536 })
    job.setBandwidth({ bytesPerSecond: 0 })
    expect(await job.done).toMatchObject({ state: 'completed', bytesMoved: 16 * mebibyte })
    expect((await check(chain.top)).code).toBe(0)
  })

  test('of a byte a second moves next to nothing, and can be aborted', async () => {
    const chain = await overlay(4)
    const job = await pullImage(chain.top, { bytesPerSecond: 1 })
    await sleep(500)
    expect(job.progress.bytesMoved).toBeLessThanOrEqual(4096)
    await job.abort()
    expect(job.outcome?.state).toBe('cancelled')
    await pullWell(chain)
  })
})
