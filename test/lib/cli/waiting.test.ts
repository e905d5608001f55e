// SPDX-License-Identifier: Apache-2.0
//
// Commands whose QEMU does not answer, over a fake binding: what ends the wait, and what is told of it.

import { beforeEach, describe, expect, it, vi } from 'vitest'
import { failure, outcomeOf, turn, vm0 } from '../fake-binding.js'
import { FakeTerminal } from './fake-context.js'

const connected = '--connect qemu:///embed?root=/srv'
const running = { ...vm0, state: 1 }

let terminal: FakeTerminal
beforeEach(() => {
  terminal = new FakeTerminal()
  terminal.binding.domains = [running]
})

/** The requests of all calls of that name. */
const requests = (name: string) => terminal.binding.calls.filter((call) => call.name === name).map((c) => c.request)

describe('an interrupt while QEMU does not answer', () => {
  /** Calls that are answered by the end of the connection, as the addon does. */
  function hang(...names: readonly string[]): void {
    for (const name of names) terminal.binding.untilClosed.add(name)
  }

  it.each([
    ['job --qmp s vda', 'blockJobInfo', 'interrupted before QEMU answered'],
    ['job --qmp s vda --abort', 'blockJobAbort', 'answered; it may still carry out the request'],
    ['list --qmp s', 'listDisks', "interrupted before the monitor of 'vm0' answered"],
    ['pull --qmp s vda --dry-run', 'plan', 'interrupted before QEMU answered'],
    ['reap --qmp s', 'reapJobs', 'interrupted before QEMU answered'],
  ])('ends "%s"', async (line, name, words) => {
    hang(name)
    const exit = terminal.run(`${line} --json`)
    while (requests(name).length === 0) await turn()
    terminal.interrupt()
    await expect(exit).resolves.toBe(1)
    expect(terminal.lines.at(-1)).toMatchObject({ event: 'end', state: 'failed', code: 'MONITOR_TIMEOUT' })
    expect(terminal.err).toContain(words)
    expect({ exited: terminal.exited, isListening: terminal.isListening }).toEqual({ exited: null, isListening: false })
  })

  it('ends a list after what the others have answered', async () => {
    terminal.binding.domains = [running, { ...vm0, name: 'vm1', uuid: '1' }]
    hang('listDisks 1')
    const exit = terminal.run(`list ${connected}`)
    while (requests('listDisks').length < 2) await turn()
    await turn()
    terminal.interrupt()
    await expect(exit).resolves.toBe(1)
    expect(terminal.out).toMatch(/\nvm0 +running +vda +-\nvm1 +shut off +- +MONITOR_TIMEOUT\n$/)
  })

  it('is that of a timeout in a dry run', async () => {
    hang('plan')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const exit = terminal.run('pull --qmp s vda --dry-run --timeout 7')
    while (requests('plan').length === 0) await turn()
    await vi.advanceTimersByTimeAsync(7000)
    vi.useRealTimers()
    await expect(exit).resolves.toBe(1)
    expect(terminal.err).toBe('blockpull: timeout of 7 s expired before QEMU answered\n')
  })

  it.each(['', ' --no-wait'])('gives up a pull that QEMU may begin yet, as unknown%s', async (manner) => {
    hang('blockPull')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const exit = terminal.run(`pull --qmp s vda --json${manner}`)
    while (requests('blockPull').length === 0) await turn()
    terminal.interrupt()
    await vi.advanceTimersByTimeAsync(1400)
    expect(requests('giveUp')).toEqual([])
    terminal.binding.onGiveUp = () =>
      terminal.binding.endWaits(
        failure('MONITOR_TIMEOUT', { qemu: { command: 'block-stream', class: null, message: null } }),
      )
    await vi.advanceTimersByTimeAsync(600)
    vi.useRealTimers()
    await expect(exit).resolves.toBe(1)
    const [{ ticket }] = requests('blockPull') as [{ ticket: bigint }]
    expect(requests('giveUp')).toEqual([{ ticket }])
    expect(terminal.lines).toMatchObject([{ event: 'end', state: 'unknown', code: 'MONITOR_TIMEOUT' }])
  })
})

describe('a silence of QEMU', () => {
  const second = 1_000_000_000n

  it('is reported once, and so is its end', async () => {
    const { exit, job } = await terminal.startPull('pull --qmp s vda')
    for (const silence of [3n, 9n, 10n, 11n, 12n]) {
      job.move(10n, { silentNs: silence * second + 5n })
      await turn()
    }
    job.move(10n)
    await turn()
    job.move(10n, { silentNs: 11n * second })
    await turn()
    job.end(outcomeOf('unknown', failure('MONITOR_TIMEOUT')))
    await expect(exit).resolves.toBe(1)
    const told = terminal.err.split('\n').map((line) => line.replace(/;.*/, ''))
    expect(told).toEqual([
      'QEMU has not answered for 10 s',
      'QEMU answers again',
      'QEMU has not answered for 11 s',
      "blockpull: MONITOR_TIMEOUT happened in 'a.qcow2'",
      '',
    ])
  })

  it('is in JSON lines, with the phase, and nowhere else', async () => {
    const { exit, job } = await terminal.startPull('pull --qmp s vda --json')
    job.move(10n, { silentNs: 10n * second, phase: 'paused' })
    await turn()
    job.move(10n, { silentNs: 0n, phase: 'pending' })
    await turn()
    job.end(outcomeOf('completed'))
    await expect(exit).resolves.toBe(0)
    const told = terminal.lines.slice(1, 3).map(({ phase, silentSeconds }) => ({ phase, silentSeconds }))
    expect(told).toEqual([
      { phase: 'paused', silentSeconds: 10 },
      { phase: 'pending', silentSeconds: 0 },
    ])
    expect(terminal.err).toBe('')
  })

  it('replaces a cancellation if the timeout ends it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { exit, job } = await terminal.startPull('pull --qmp s vda --timeout 5')
    job.onAbort = outcomeOf('unknown', failure('MONITOR_TIMEOUT'))
    await vi.advanceTimersByTimeAsync(5000)
    vi.useRealTimers()
    await expect(exit).resolves.toBe(1)
    expect(terminal.err).toBe("blockpull: timeout of 5 s expired: MONITOR_TIMEOUT happened in 'a.qcow2'\n")
  })
})

describe('a reap that QEMU does not answer', () => {
  it('exits on a second interrupt', async () => {
    Object.assign(terminal.binding, { reaped: new Promise(() => undefined) })
    void terminal.run(`reap ${connected}`)
    while (!terminal.isListening) await turn()
    terminal.interrupt()
    await turn()
    terminal.interrupt()
    expect({ exited: terminal.exited, closed: requests('close').length }).toEqual({ exited: null, closed: 1 })
    terminal.time += 1000
    terminal.interrupt()
    expect(terminal.exited).toBe(130)
  })
})
