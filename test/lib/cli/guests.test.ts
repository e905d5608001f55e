// SPDX-License-Identifier: Apache-2.0
//
// The commands for running guests, over a fake binding: what each asks of the API, prints, and exits with.

import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { NativeBlockJobEvent } from '../../../lib/native.js'
import { failure, layerOf, outcomeOf, progressAt, turn, vm0 } from '../fake-binding.js'
import { FakeTerminal } from './fake-context.js'

const connected = '--connect qemu:///embed?root=/srv'
const running = { ...vm0, state: 1 }
const pullAt = (cur: bigint) => ({
  ...{ type: 1, bandwidth: 10485760n, cur, end: 104857600n },
  ...{ state: 'running', stoppedOn: null, foreign: false },
})

let terminal: FakeTerminal
beforeEach(() => {
  terminal = new FakeTerminal()
  terminal.binding.domains = [running]
})

/** The requests of all calls of that name. */
const requests = (name: string) => terminal.binding.calls.filter((call) => call.name === name).map((c) => c.request)

describe('--qmp', () => {
  it('is a connection with one domain, named after its socket', async () => {
    terminal.binding.info = pullAt(52428800n)
    await expect(terminal.run('job --qmp /run/vm7.qmp virtio0')).resolves.toBe(0)
    expect(requests('openConnection')).toMatchObject([
      { uri: null, readOnly: true, domains: [{ name: 'vm7', qmp: '/run/vm7.qmp', disks: [] }] },
    ])
    expect(requests('blockJobInfo')).toMatchObject([{ disk: 'virtio0' }])
    expect(terminal.out).toMatch(/^virtio0: Block Pull, 50\.0 %/)
  })

  it.each(['pull --qmp s d', 'job --qmp s d', 'list --qmp s', 'events --qmp s', 'reap --qmp s'])(
    'where nobody listens makes "%s" fail',
    async (line) => {
      terminal.binding.domains = [vm0]
      await expect(terminal.run(`${line} --json`)).resolves.toBe(1)
      expect(terminal.lines).toMatchObject([{ event: 'end', state: 'failed', code: 'MONITOR_LOST' }])
      expect(terminal.err).toMatch(/^blockpull: nobody listens on monitor 's': QEMU is not running, or its QMP socket/)
    },
  )
})

describe('pull of a running domain', () => {
  it('draws the line that a pull of an image has, with the method', async () => {
    terminal.isTTY = true
    const { exit, job } = await terminal.startPull('pull --qmp s vda')
    job.move(50n, { method: 'block-stream' })
    job.end({ ...outcomeOf('completed'), method: 'block-stream' })
    await expect(exit).resolves.toBe(0)
    expect(terminal.err).toMatch(/vda {2}[█░]+ .* % /)
    expect(terminal.out).toBe(
      'vda: pulled, 100.0 MiB gone over in 2.0 s (50.0 MiB/s, block-stream)\n  vda no longer needs /srv/base.qcow2\n',
    )
  })

  it('prints a hint on a line of its own, and in the end line', async () => {
    const hint = "QEMU has no device and no node 'vdz'; it has 'vda'"
    const message = "invalid argument: disk 'vdz' not found in domain"
    terminal.binding.failures.set('blockPull', failure('NO_DISK', { message, hint }))
    await expect(terminal.run(`pull ${connected} vm0 vdz --json`)).resolves.toBe(1)
    expect(terminal.err).toBe(`blockpull: ${message}\n  hint: ${hint}\n`)
    expect(terminal.lines).toMatchObject([{ event: 'end', state: 'failed', code: 'NO_DISK', message, hint }])
  })

  describe('with --no-wait', () => {
    const left = { ...outcomeOf('unknown', failure('CLOSED')), method: 'block-stream' }

    it.each([
      ['', /^vm0 vda: pull started; QEMU continues.*\n {2}it is finished once .blockpull reap. has waited/],
      [' --quiet', /^$/],
      [' --json', /^\{"event":"end","state":"started",.*"durable":false\}\n$/],
    ])('is detached, and says what that means%s', async (style, printed) => {
      const { exit, job } = await terminal.startPull(`pull ${connected} vm0 vda --no-wait${style}`)
      expect(requests('blockPull')).toMatchObject([{ detached: true }])
      job.end(left)
      await expect(exit).resolves.toBe(0)
      expect(terminal.out).toMatch(printed)
      expect(terminal.err).toBe('')
      expect(job.calls).toEqual([])
    })

    it('does not wait for the end of a job whose method is known late', async () => {
      terminal.binding.onStart = (started) => {
        started.latest = progressAt(0n, { method: 'none' })
      }
      const { exit, job } = await terminal.startPull(`pull ${connected} vm0 vda --no-wait`)
      expect(requests('close')).toHaveLength(0)
      job.move(0n, { method: 'block-stream' })
      while (requests('close').length === 0) await turn()
      job.end(left)
      await expect(exit).resolves.toBe(0)
      expect(terminal.out).toMatch(/^vm0 vda: pull started/)
    })

    it('waits for the end if there is nothing to pull', async () => {
      terminal.binding.onStart = (started) => {
        started.latest = progressAt(0n, { method: 'none' })
      }
      const { exit, job } = await terminal.startPull(`pull ${connected} vm0 vda --no-wait`)
      job.move(0n, { method: 'none' })
      for (let turns = 0; turns < 10; turns += 1) await turn()
      expect(requests('close')).toHaveLength(0)
      job.end({ ...outcomeOf('completed'), method: 'none', bytesMoved: 0n, released: [] })
      await expect(exit).resolves.toBe(0)
      expect(terminal.out).toBe('vm0 vda: nothing to pull\n')
    })

    it('ends as the job when that has ended already', async () => {
      const { exit, job } = await terminal.startPull(`pull ${connected} vm0 vda --no-wait --json`)
      job.end(outcomeOf('failed', failure('NO_SPACE')))
      await expect(exit).resolves.toBe(1)
      expect(terminal.lines).toMatchObject([{ event: 'end', state: 'failed', code: 'NO_SPACE' }])
    })

    it('is refused as the API refuses it', async () => {
      terminal.binding.failures.set('blockPull', failure('UNSUPPORTED', { message: "domain 'vm0' is shut off" }))
      await expect(terminal.run(`pull ${connected} vm0 vda --no-wait`)).resolves.toBe(1)
      expect(terminal.err).toBe("blockpull: domain 'vm0' is shut off\n")
    })
  })
})

describe('job', () => {
  const line = `job ${connected} vm0 vda`

  it('shows a job in a line, raw as virsh does, and as JSON', async () => {
    terminal.binding.info = pullAt(44040192n)
    await expect(terminal.run(line)).resolves.toBe(0)
    await expect(terminal.run(`${line} --raw`)).resolves.toBe(0)
    await expect(terminal.run(`${line} --raw --bytes`)).resolves.toBe(0)
    await expect(terminal.run(`${line} --info --json`)).resolves.toBe(0)
    expect(terminal.out.split('\n')).toEqual([
      'vm0 vda: Block Pull, 42.0 % (42.0 MiB of 100.0 MiB), limit: 10.0 MiB/s (10485760 bytes a second)',
      ...[' type=Block Pull', ' bandwidth=10', ' cur=44040192', ' end=104857600'],
      ...[' type=Block Pull', ' bandwidth=10485760', ' cur=44040192', ' end=104857600'],
      '{"event":"job","domain":"vm0","disk":"vda",' +
        '"job":{"type":1,"bandwidth":10485760,"cur":44040192,"end":104857600,' +
        '"state":"running","stoppedOn":null,"foreign":false}}',
      expect.stringMatching(/^\{"event":"end","state":"done"/),
      '',
    ])
  })

  it('shows what a job waits on, here and in the list', async () => {
    terminal.binding.info = { ...pullAt(44040192n), state: 'stopped', stoppedOn: 'NO_SPACE' }
    await expect(terminal.run(line)).resolves.toBe(0)
    await expect(terminal.run(`list ${connected}`)).resolves.toBe(0)
    expect(terminal.out).toContain('waiting to be resumed: disk full')
    expect(terminal.out).toContain('pull, 42.0 %, disk full')
  })

  it.each([
    [false, "by the process that tracks it, or by 'blockpull reap' if that is gone"],
    [true, 'by the program that started it'],
  ])('says of a pending job that it waits to be finished, foreign: %s', async (foreign, whom) => {
    terminal.binding.info = { ...pullAt(104857599n), state: 'pending', foreign }
    await expect(terminal.run(line)).resolves.toBe(0)
    expect(terminal.out).toBe(`vm0 vda: Block Pull, nothing is left to copy, waiting to be finished ${whom}\n`)
    terminal.out = ''
    await expect(terminal.run(`list ${connected}`)).resolves.toBe(0)
    expect(terminal.out).toMatch(/\nvm0 +running +vda +pull, waiting to be finished\n$/)
    terminal.out = ''
    await expect(terminal.run(`${line} --raw`)).resolves.toBe(0)
    expect(terminal.out).toBe(' type=Block Pull\n bandwidth=10\n cur=104857599\n end=104857600\n')
  })

  it.each([
    ['running', /: Block Pull, 99\.9 % \(.*\), limit: .*second\)\n/, /pull, 99\.9 %\n$/],
    ['paused', /99\.9 % .*second\), paused\n/, /pull, 99\.9 %, paused\n$/],
    ['aborting', /99\.9 % .*second\), stopping\n/, /pull, 99\.9 %, stopping\n$/],
  ])('never shows 100 % of a job that is %s', async (state, shown, listed) => {
    terminal.binding.info = { ...pullAt(104857599n), state }
    await expect(terminal.run(line)).resolves.toBe(0)
    expect(terminal.out).toMatch(shown)
    await expect(terminal.run(`list ${connected}`)).resolves.toBe(0)
    expect(terminal.out).toMatch(listed)
  })

  it('says that there is none, and exits with 0 as virsh does', async () => {
    await expect(terminal.run(line)).resolves.toBe(0)
    await expect(terminal.run(`${line} --raw`)).resolves.toBe(0)
    expect(terminal.out).toBe('no current block job for vda\n')
    terminal.out = ''
    await expect(terminal.run(`${line} --json`)).resolves.toBe(0)
    expect(terminal.out).toContain('"job":null}')
    expect(terminal.lines.at(-1)).toMatchObject({ event: 'end', state: 'done' })
  })

  it.each([
    ['--abort', 'vm0 vda: job has ended\n', 'blockJobAbort', { disk: 'vda', flags: 0 }],
    ['--abort --async', 'vm0 vda: job was asked to end\n', 'blockJobAbort', { disk: 'vda', flags: 1 }],
    ['--bandwidth 10', /^vm0 vda: limit: 10\.0 MiB\/s/, 'blockJobSetSpeed', { bandwidth: 10485760n }],
    ['--bandwidth 10 --bytes', /^vm0 vda: limit: /, 'blockJobSetSpeed', { bandwidth: 10n }],
  ] as const)('with %s changes it', async (options, printed, name, request) => {
    terminal.binding.info = pullAt(0n)
    await expect(terminal.run(`${line} ${options}`)).resolves.toBe(0)
    expect(terminal.out).toMatch(printed)
    expect(requests(name)).toMatchObject([request])
    expect(requests('openConnection')).toMatchObject([{ readOnly: false }])
  })

  it.each([
    [{ state: 'stopped', stoppedOn: 'NO_SPACE' }, 'job continues'],
    [{ state: 'running', stoppedOn: null }, 'job had not stopped'],
  ])('with --resume says whether it had stopped: %o', async (state, printed) => {
    terminal.binding.info = { ...pullAt(0n), ...state }
    await expect(terminal.run(`${line} --resume`)).resolves.toBe(0)
    expect(terminal.out).toBe(`vm0 vda: ${printed}\n`)
    expect(requests('blockJobResume')).toMatchObject([{ disk: 'vda', flags: 0 }])
    expect(requests('openConnection')).toMatchObject([{ readOnly: true }, { readOnly: false }])
  })

  it('with --resume fails if there is no job', async () => {
    terminal.binding.failures.set('blockJobResume', failure('NO_JOB'))
    await expect(terminal.run(`${line} --resume`)).resolves.toBe(1)
    expect(terminal.err).toBe("blockpull: NO_JOB happened in 'a.qcow2'\n")
  })

  it.each([
    ['--abort', 'blockJobAbort', 'NO_JOB', 1],
    ['--bandwidth 1', 'blockJobSetSpeed', 'NO_JOB', 1],
    ['--abort', 'blockJobAbort', 'JOB_ACTIVE', 4],
    ['--info', 'blockJobInfo', 'MONITOR_BUSY', 4],
    ['--info', 'blockJobInfo', 'NO_DISK', 1],
  ])('%s that fails in %s with %s exits with %d', async (option, name, code, exitCode) => {
    terminal.binding.failures.set(name, failure(code))
    await expect(terminal.run(`${line} ${option}`)).resolves.toBe(exitCode)
    expect(terminal.err).toBe(`blockpull: ${code} happened in 'a.qcow2'\n`)
    expect(terminal.out).toBe('')
  })

  it.each(['--info', '--abort'])('%s of a disk that another process pulls exits with 4', async (option) => {
    terminal.binding.domains = [vm0]
    terminal.binding.layers = [layerOf('/srv/vm0.qcow2', { inUseBy: 'pid 12 (blockpull)' })]
    terminal.binding.failures.set('blockJobAbort', failure('NO_JOB'))
    await expect(terminal.run(`${line} ${option}`)).resolves.toBe(4)
    expect(terminal.err).toBe(
      'blockpull: vm0 vda is being pulled by pid 12 (blockpull), the only process that can show or change the job\n',
    )
  })
})

describe('list', () => {
  it('asks QEMU for the disks that no XML states', async () => {
    terminal.binding.domains = [{ ...running, disks: [] }]
    terminal.binding.guestDisks = [{ target: 'virtio0', source: '/srv/a.qcow2', format: 'qcow2', backingFormats: [] }]
    terminal.binding.info = { ...pullAt(52428800n), type: 2 }
    await expect(terminal.run(`list ${connected}`)).resolves.toBe(0)
    expect(terminal.out).toBe('DOMAIN  STATE    DISK     JOB\nvm0     running  virtio0  copy, 50.0 %\n')
  })

  it.each(['listDisks', 'blockJobInfo'])('shows a busy monitor, met in %s, and exits with 4', async (call) => {
    terminal.binding.failures.set(call, failure('MONITOR_BUSY'))
    await expect(terminal.run(`list ${connected}`)).resolves.toBe(4)
    expect(terminal.out).toMatch(/\nvm0 {5}running {2}(-|vda) +MONITOR_BUSY\n$/)
    expect(terminal.err).toMatch(
      /^blockpull: the monitor of 'vm0' did not answer: another program .* or QEMU hangs, or it .*; try/,
    )
  })

  it.each(['listDisks', 'blockJobInfo'])(
    'names a socket that is not a QMP monitor, met in %s, and continues',
    async (call) => {
      const message = "monitor '/run/hmp' is QEMU's human monitor, not QMP"
      terminal.binding.failures.set(call, failure('INVALID_ARGUMENT', { message }))
      await expect(terminal.run(`list ${connected} --json`)).resolves.toBe(1)
      expect(terminal.lines.at(-1)).toMatchObject({ state: 'failed', code: 'INVALID_ARGUMENT' })
      expect(terminal.err).toBe(`blockpull: domain 'vm0': ${message}\n`)
    },
  )

  it('asks a monitor that does not answer once', async () => {
    terminal.binding.guestDisks = ['vda', 'vdb'].map((target) => ({
      target,
      source: `/srv/${target}`,
      format: 'raw',
      backingFormats: [],
    }))
    terminal.binding.failures.set('blockJobInfo', failure('MONITOR_TIMEOUT'))
    await expect(terminal.run(`list ${connected} --json`)).resolves.toBe(4)
    expect(requests('blockJobInfo')).toHaveLength(1)
    const disks = ['vda', 'vdb'].map((target) => expect.objectContaining({ target, error: 'MONITOR_TIMEOUT' }))
    expect(terminal.lines[0]).toMatchObject({ event: 'domain', name: 'vm0', error: null, disks })
  })
})

describe('a file that is not a socket', () => {
  it.each([
    [import.meta.filename, 'a plain file'],
    [import.meta.dirname, 'a folder'],
    ['/dev/null', 'a pipe or a device'],
  ])('is called what it is: %s', async (path, what) => {
    terminal.binding.domains = [vm0]
    await expect(terminal.run(`pull --qmp ${path} vda`)).resolves.toBe(1)
    expect(terminal.err).toBe(
      `blockpull: monitor '${path}' is ${what}, not a socket; expected the path of a running QEMU's QMP socket\n`,
    )
  })
})

describe('events', () => {
  const event = (status: number, error: NativeBlockJobEvent['error'] = null): NativeBlockJobEvent => ({
    domain: { name: 'vm0', uuid: vm0.uuid, id: 1 },
    target: 'vda',
    path: '/srv/x.qcow2',
    type: 1,
    status,
    notices: [],
    error,
  })

  it('are printed as virsh prints them, until an interrupt', async () => {
    const exit = terminal.run(`events ${connected}`)
    while (!terminal.isListening) await turn()
    for (const sent of [event(0), event(2, failure('CANCELLED')), event(1, failure('IO'))]) terminal.binding.send(sent)
    terminal.interrupt()
    await expect(exit).resolves.toBe(0)
    const start = "event 'block-job' for domain 'vm0': Block Pull for /srv/x.qcow2"
    expect(terminal.out).toBe(`${start} completed\n${start} canceled\n${start} failed: IO happened in 'a.qcow2'\n`)
    expect(terminal.err).toBe('events received: 3\n')
    expect(requests('reapJobs')).toHaveLength(1)
  })

  it('are JSON lines with --json', async () => {
    const exit = terminal.run(`events ${connected} --json`)
    while (!terminal.isListening) await turn()
    terminal.binding.send(event(1, failure('IO')))
    terminal.interrupt()
    await expect(exit).resolves.toBe(0)
    const { notices: _, domain, ...told } = event(1)
    expect(terminal.lines).toEqual([
      {
        event: 'blockJob',
        ...told,
        domain: { name: domain.name, uuid: domain.uuid },
        error: { code: 'IO', message: "IO happened in 'a.qcow2'" },
      },
      expect.objectContaining({ event: 'end', state: 'done' }),
    ])
  })

  it('end after the timeout, and are polled for until then', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
    const exit = terminal.run(`events ${connected} --timeout 10`)
    while (!terminal.isListening) await turn()
    await vi.advanceTimersByTimeAsync(6500)
    expect(requests('reapJobs')).toHaveLength(3)
    await vi.advanceTimersByTimeAsync(4000)
    vi.useRealTimers()
    await expect(exit).resolves.toBe(0)
    expect(terminal.isListening).toBe(false)
  })

  it('warn once of a domain that cannot be reaped', async () => {
    terminal.binding.failures.set('reapJobs', failure('MONITOR_BUSY'))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
    const exit = terminal.run(`events ${connected} --timeout 10`)
    while (!terminal.isListening) await turn()
    await vi.advanceTimersByTimeAsync(10_000)
    vi.useRealTimers()
    await expect(exit).resolves.toBe(0)
    expect(terminal.err.match(/warning: jobs of domain 'vm0' cannot be reported for now/g)).toHaveLength(1)
  })
})
