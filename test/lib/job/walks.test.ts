// SPDX-License-Identifier: Apache-2.0
//
// Calls that walk: what their signal and their listener get to see, whatever the addon does.

import { getEventListeners, once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openConnection } from '../../../lib/connection.js'
import { imageCalls } from '../../../lib/images.js'
import type { NativeWalkProgress } from '../../../lib/native.js'
import type { WalkProgress } from '../../../lib/results/structs.js'
import { FakeBinding, failure, turn } from '../fake-binding.js'

const calls = [
  ['plan', 'planImage'],
  ['inspectChain', 'inspectChain'],
  ['digestImage', 'digestImage'],
] as const

function at(bytesDone: bigint, phase: NativeWalkProgress['phase'] = 'tables'): NativeWalkProgress {
  return { phase, bytesDone, bytesTotal: 100n }
}

/** A binding whose calls named go on until they are ended. */
function waiting(...names: readonly string[]) {
  const binding = new FakeBinding()
  for (const name of names) binding.untilClosed.add(name)
  return { binding, ...imageCalls(() => binding) }
}

describe('a signal', () => {
  it.each(calls)('of %s that is no signal is a TypeError', async (name) => {
    const { binding, ...api } = waiting()
    await expect(api[name]('a', { signal: 5 as never })).rejects.toThrow(/^signal is 5; expected an AbortSignal/)
    expect(binding.calls).toEqual([])
  })

  it.each(calls)('of %s that is aborted already begins nothing', async (name) => {
    const { binding, ...api } = waiting()
    const reason = new Error('too late')
    const refused = api[name]('a', { signal: AbortSignal.abort(reason) })
    await expect(refused).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    expect(binding.calls).toEqual([])
  })

  it.each(calls)('ends %s in the middle, and nobody listens to it any more', async (name, native) => {
    const { binding, ...api } = waiting(native)
    const controller = new AbortController()
    binding.walk.onGiveUp = () => binding.endWaits(failure('CANCELLED'))
    const running = api[name]('a', { signal: controller.signal })
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    await turn()
    controller.abort('enough')
    await expect(running).rejects.toMatchObject({ name: 'AbortError', cause: 'enough' })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  it('ends the plan of a domain', async () => {
    const binding = new FakeBinding()
    binding.untilClosed.add('plan')
    const connection = await openConnection(() => binding, 'qemu:///embed?root=/x')
    const domain = await connection.lookupByName('vm0')
    const controller = new AbortController()
    binding.walk.onGiveUp = () => binding.endWaits(failure('CANCELLED'))
    const running = domain.plan('vda', { signal: controller.signal })
    await turn()
    controller.abort()
    await expect(running).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('keeps another failure, and drops the result of an aborted call', async () => {
    const { binding, inspectChain } = waiting('inspectChain')
    const controller = new AbortController()
    binding.walk.onGiveUp = () => binding.endWaits(failure('IO'))
    const failing = inspectChain('a', { signal: controller.signal })
    await turn()
    controller.abort()
    await expect(failing).rejects.toMatchObject({ code: 'IO' })
    const late = new AbortController()
    const done = imageCalls(() => new FakeBinding()).inspectChain('a', { signal: late.signal })
    late.abort()
    await expect(done).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('is let go of by a call that ends by itself', async () => {
    const { signal } = new AbortController()
    await imageCalls(() => new FakeBinding()).plan('a', { signal })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})

describe('with a clock', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('a call that cannot end lets its caller go after a moment', async () => {
    const { plan } = waiting('planImage')
    const controller = new AbortController()
    const running = plan('a', { signal: controller.signal }).catch((error: unknown) => error)
    controller.abort()
    await vi.advanceTimersByTimeAsync(100)
    await expect(running).resolves.toMatchObject({ name: 'AbortError' })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('reports changed progress, each phase from its beginning, and nothing after the end', async () => {
    const { binding, plan } = waiting('planImage')
    const told: WalkProgress[] = []
    const running = plan('a', { onProgress: (progress) => told.push(progress) }).catch(() => undefined)
    await vi.advanceTimersByTimeAsync(100)
    expect(told).toEqual([])
    for (const latest of [at(40n), at(40n), at(70n), at(30n, 'data')]) {
      binding.walk.latest = latest
      await vi.advanceTimersByTimeAsync(100)
    }
    expect(told.map(({ phase, bytesDone, bytesTotal }) => [phase, bytesDone, bytesTotal])).toEqual([
      ['tables', 0, 100],
      ['tables', 40, 100],
      ['tables', 70, 100],
      ['data', 0, 100],
      ['data', 30, 100],
    ])
    binding.endWaits(failure('IO'))
    await running
    binding.walk.latest = at(60n, 'data')
    await vi.advanceTimersByTimeAsync(1000)
    expect(told).toHaveLength(5)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a listener', () => {
  it('gets the end before the call resolves, as bigints if asked for', async () => {
    const { binding, digestImage } = waiting()
    binding.walk.latest = { phase: 'data', bytesDone: 2n ** 60n, bytesTotal: 2n ** 60n }
    const told: WalkProgress<bigint>[] = []
    await digestImage('a', { bigint: true, onProgress: (progress) => told.push(progress) })
    expect(told).toEqual([
      { phase: 'data', bytesDone: 0n, bytesTotal: 2n ** 60n },
      { phase: 'data', bytesDone: 2n ** 60n, bytesTotal: 2n ** 60n },
    ])
  })

  it('that is not a function is a TypeError', async () => {
    const { plan } = waiting()
    await expect(plan('a', { onProgress: 'x' as never })).rejects.toThrow(/^onProgress is 'x'; expected a function/)
  })

  it('that throws is an uncaught exception, and no failure of the call', async () => {
    const { binding, plan } = waiting()
    binding.walk.latest = at(100n)
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    try {
      const uncaught = once(process, 'uncaughtException')
      const thrown = new Error('mine')
      let times = 0
      await plan('a', {
        onProgress: () => {
          times += 1
          if (times === 1) throw thrown
        },
      })
      expect((await uncaught)[0]).toBe(thrown)
      expect(times).toBe(2)
    } finally {
      for (const listener of others) process.on('uncaughtException', listener)
    }
  })
})

describe('reading the data', () => {
  it('is passed to the addon if given', async () => {
    const { binding, plan } = waiting()
    await plan('a')
    expect(binding.last).toMatchObject({ readData: false })
    await plan('a', { readData: true })
    expect(binding.last).toMatchObject({ readData: true })
    await expect(plan('a', { readData: 1 as never })).rejects.toThrow(/^readData is 1; expected true or false/)
  })
})
