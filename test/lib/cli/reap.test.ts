// SPDX-License-Identifier: Apache-2.0
//
// `blockpull reap` over a fake binding: what it prints of each job, and what it exits with.

import { beforeEach, describe, expect, it } from 'vitest'
import { failure, outcomeOf, vm0 } from '../fake-binding.js'
import { FakeTerminal } from './fake-context.js'

const connected = '--connect qemu:///embed?root=/srv'

let terminal: FakeTerminal
beforeEach(() => {
  terminal = new FakeTerminal()
  terminal.binding.domains = [{ ...vm0, state: 1 }]
})

/** The requests of all calls of that name. */
const requests = (name: string) => terminal.binding.calls.filter((call) => call.name === name).map((c) => c.request)

describe('reap', () => {
  const reaped = (outcome: ReturnType<typeof outcomeOf>, target = 'vda') => ({ target, path: '/srv/a.qcow2', outcome })

  it('says that there is nothing', async () => {
    await expect(terminal.run(`reap ${connected}`)).resolves.toBe(0)
    expect(terminal.out).toBe('nothing to reap\n')
  })

  it('has a line for each job, and fails when one failed', async () => {
    terminal.binding.reaped = [
      reaped(outcomeOf('completed')),
      reaped(outcomeOf('failed', failure('NO_SPACE')), 'vdb'),
      reaped(outcomeOf('cancelled', failure('CANCELLED')), 'vdc'),
    ]
    await expect(terminal.run(`reap ${connected} vm0`)).resolves.toBe(1)
    expect(terminal.out).toBe(
      'vm0 vda: completed\n  vm0 vda no longer needs /srv/base.qcow2\n' +
        "vm0 vdb: failed: NO_SPACE happened in 'a.qcow2'\n" +
        "vm0 vdc: cancelled: CANCELLED happened in 'a.qcow2'\n",
    )
    expect(terminal.err).toBe('blockpull: 1 of 3 could not be finished\n')
    expect(requests('lookupDomain')).toMatchObject([{ name: 'vm0' }])
  })

  it('says what an end is not known to be, and why', async () => {
    const doubtful = { verified: false, durable: false, warnings: ['QEMU is gone'] }
    terminal.binding.reaped = [reaped({ ...outcomeOf('completed'), ...doubtful })]
    await expect(terminal.run(`reap ${connected}`)).resolves.toBe(0)
    expect(terminal.out).toMatch(
      /^vm0 vda: completed\n {2}not verified: .*\n {2}not known to be durable: .*\n {2}vm0 vda no longer needs/,
    )
    expect(terminal.err).toBe('blockpull: warning: QEMU is gone\n')
  })

  it('with --qmp calls a disk as pull and job do', async () => {
    terminal.binding.reaped = [reaped(outcomeOf('completed'))]
    await expect(terminal.run('reap --qmp /run/vm7.qmp')).resolves.toBe(0)
    expect(terminal.out).toBe('vda: completed\n  vda no longer needs /srv/base.qcow2\n')
  })

  it('has the hint of a failure in its JSON lines', async () => {
    const hint = 'free some space'
    terminal.binding.reaped = [reaped(outcomeOf('failed', failure('NO_SPACE', { hint })))]
    await expect(terminal.run(`reap ${connected} --json`)).resolves.toBe(1)
    expect(terminal.lines[0]).toMatchObject({ event: 'reaped', state: 'failed', code: 'NO_SPACE', hint })
    terminal.out = ''
    terminal.binding.failures.set('reapJobs', failure('MONITOR_BUSY', { hint }))
    await expect(terminal.run(`reap ${connected} --json`)).resolves.toBe(4)
    expect(terminal.lines[0]).toMatchObject({ event: 'unreached', code: 'MONITOR_BUSY', hint })
  })

  it('prints JSON lines', async () => {
    terminal.binding.reaped = [reaped(outcomeOf('completed'))]
    await expect(terminal.run(`reap ${connected} --json`)).resolves.toBe(0)
    const facts = { state: 'completed', code: null, hint: null, trailingData: null }
    expect(terminal.lines).toMatchObject([
      { event: 'reaped', domain: 'vm0', target: 'vda', path: '/srv/a.qcow2', ...facts },
      { event: 'end', state: 'completed' },
    ])
  })

  it('of a job that somebody has cancelled is no failure, and does not end as completed', async () => {
    terminal.binding.reaped = [
      reaped(outcomeOf('completed')),
      reaped(outcomeOf('cancelled', failure('CANCELLED', { message: 'cancelled by another program' })), 'vdb'),
    ]
    await expect(terminal.run(`reap ${connected} --json`)).resolves.toBe(0)
    expect(terminal.lines).toMatchObject([
      { event: 'reaped', target: 'vda', state: 'completed' },
      { event: 'reaped', target: 'vdb', state: 'cancelled', message: 'cancelled by another program' },
      { event: 'end', state: 'cancelled', code: 'CANCELLED' },
    ])
    expect(terminal.err).toBe('')
  })

  it('continues after a busy monitor, and exits with 4', async () => {
    terminal.binding.failures.set('reapJobs', failure('MONITOR_BUSY'))
    await expect(terminal.run(`reap ${connected} --json`)).resolves.toBe(4)
    expect(terminal.lines).toMatchObject([
      { event: 'unreached', domain: 'vm0', code: 'MONITOR_BUSY' },
      { event: 'end', state: 'failed', code: 'MONITOR_BUSY' },
    ])
  })

  it('names the job that continues after an interrupt, and exits with 3', async () => {
    terminal.binding.reaped = [reaped(outcomeOf('unknown', failure('CLOSED')))]
    await expect(terminal.run(`reap ${connected}`)).resolves.toBe(3)
    expect(terminal.out).toBe('vm0 vda: continues in QEMU\n')
    expect(terminal.err).toMatch(/^blockpull: interrupted: the job on 'vda' continues in QEMU/)
    expect(terminal.isListening).toBe(false)
  })
})
