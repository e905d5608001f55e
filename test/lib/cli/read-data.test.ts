// SPDX-License-Identifier: Apache-2.0
//
// `pull --dry-run --read-data`, over a fake binding: what is asked, what is said before and meanwhile, how it ends.

import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { failure, mebibyte, planOf, turn } from '../fake-binding.js'
import { FakeTerminal } from './fake-context.js'

const connected = '--connect qemu:///embed?root=/srv vm0 vda'
const data = (bytesDone: bigint) => ({
  phase: 'data' as const,
  bytesDone: bytesDone * mebibyte,
  bytesTotal: 100n * mebibyte,
})

let terminal: FakeTerminal
beforeEach(() => {
  terminal = new FakeTerminal()
})
afterEach(() => {
  vi.useRealTimers()
})

it('is passed to the addon, but only if given', async () => {
  for (const form of ['a', connected]) {
    await terminal.run(`pull ${form} --dry-run --read-data`)
    expect(terminal.binding.calls.find(({ name }) => /^plan/.test(name))?.request).toMatchObject({ readData: true })
    terminal.binding.calls.splice(0)
    await terminal.run(`pull ${form} --dry-run`)
    expect(terminal.binding.calls.find(({ name }) => /^plan/.test(name))?.request).toMatchObject({ readData: false })
    terminal.binding.calls.splice(0)
  }
})

it('cannot be combined without --dry-run', async () => {
  await expect(terminal.run('pull a --read-data')).resolves.toBe(2)
  expect(terminal.err).toContain('--read-data has nothing to apply to; expected --dry-run beside it')
  expect(terminal.binding.calls).toEqual([])
})

it('prints how much it reads, but not with --json or --quiet', async () => {
  terminal.binding.walk.latest = data(100n)
  await expect(terminal.run('pull a --dry-run --read-data')).resolves.toBe(0)
  expect(terminal.err).toBe('reading 100.0 MiB that would be moved\n')
  terminal.err = ''
  await terminal.run('pull a --dry-run --read-data --json')
  await terminal.run('pull a --dry-run --read-data --quiet')
  expect(terminal.err).toBe('')
})

it('prints what cannot be read, with the offset in the guest', async () => {
  const refusals = [40960, 81920].map((at) => failure('IMAGE_CORRUPT', { hint: `a guest reads it at ${at}` }))
  terminal.binding.nextPlan = planOf({ refusals })
  await expect(terminal.run('pull a --dry-run --read-data')).resolves.toBe(1)
  expect(terminal.err).toContain("blockpull: IMAGE_CORRUPT happened in 'a.qcow2'")
  expect(terminal.err).toContain('a guest reads it at 40960')
  expect(terminal.out).toContain('a guest reads it at 81920')
})

it('draws a line on a terminal from the first second on, and clears it', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  terminal.isTTY = true
  terminal.binding.untilClosed.add('planImage')
  const exit = terminal.run('pull a --dry-run --read-data')
  while (terminal.binding.calls.length === 0) await turn()
  terminal.time = 500
  terminal.binding.walk.latest = data(10n)
  await vi.advanceTimersByTimeAsync(100)
  expect(terminal.err).toBe('reading 100.0 MiB that would be moved\n')
  terminal.time = 1500
  terminal.binding.walk.latest = data(61n)
  await vi.advanceTimersByTimeAsync(100)
  expect(terminal.err).toMatch(/\ra {2}█+░+ {3}61\.0 %/)
  terminal.binding.endWaits(failure('IO'))
  await expect(exit).resolves.toBe(1)
  expect(terminal.err.endsWith("\r\u001b[Kblockpull: IO happened in 'a.qcow2'\n")).toBe(true)
})

it('is cancelled by an interrupt, and by the timeout', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  terminal.binding.untilClosed.add('plan').add('planImage')
  terminal.binding.walk.onGiveUp = () => terminal.binding.endWaits(failure('CANCELLED'))
  const exit = terminal.run(`pull ${connected} --dry-run --read-data --json`)
  while (!terminal.binding.calls.some(({ name }) => name === 'plan')) await turn()
  await turn()
  terminal.interrupt()
  await expect(exit).resolves.toBe(3)
  for (const stop of [() => terminal.interrupt(), () => vi.advanceTimersByTimeAsync(1000)]) {
    terminal.binding.calls.length = 0
    const exitOfImage = terminal.run('pull a --dry-run --read-data --timeout 1 --json')
    while (!terminal.binding.calls.some(({ name }) => name === 'planImage')) await turn()
    await turn()
    await stop()
    await expect(exitOfImage).resolves.toBe(3)
  }
  expect(terminal.lines).toMatchObject([
    { event: 'end', state: 'cancelled', code: 'CANCELLED' },
    { event: 'end', state: 'cancelled', code: 'CANCELLED' },
    { event: 'end', state: 'cancelled', code: 'CANCELLED' },
  ])
})
