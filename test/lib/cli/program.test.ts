// SPDX-License-Identifier: Apache-2.0
//
// Whole command lines over a fake binding: exit codes, what goes to stdout and stderr, JSON lines, interrupts.

import { beforeEach, describe, expect, it, vi } from 'vitest'
import { failure, outcomeOf, turn } from '../fake-binding.js'
import { FakeTerminal } from './fake-context.js'

let terminal: FakeTerminal
beforeEach(() => {
  terminal = new FakeTerminal()
})

const connected = '--connect qemu:///embed?root=/srv vm0 vda'

describe('usage', () => {
  it.each([
    [
      'commit vda',
      "unknown command 'commit'; expected pull, job, list, events, reap, chain, info, check, compare, create, " +
        'digest, shim-path, completion',
    ],
    ['pul x', "unknown command 'pul'; did you mean 'pull'?"],
    ['--frobnicate', "option '--frobnicate' has no command before it; expected pull"],
    ['help commit', "unknown command 'commit'"],
    ['pull', 'IMAGE is missing'],
    ['pull --connect x vm0', 'DISK is missing; expected DOMAIN DISK'],
    [`pull ${connected} --format raw`, '--format cannot be combined with --connect'],
    ['pull a --bandwidth fast', "--bandwidth is 'fast'"],
    ['pull a --bandwidth 8E', 'bandwidth is'],
    ['pull a --timeout 0', "--timeout is '0'"],
    ['pull --qmp s', 'DEVICE is missing; expected DEVICE'],
    ['pull --qmp= a', '--qmp is empty'],
    ['pull --qmp s -c x a', '--connect and --qmp are both given'],
    ['pull --qmp s a --format raw', '--format cannot be combined with --qmp'],
    [`pull ${connected} --no-wait --timeout 5`, '--timeout cannot be combined with --no-wait'],
    [`pull ${connected} --no-wiat`, "option '--no-wiat' is unknown; did you mean '--no-wait'?"],
    ['job vm0', 'DISK is missing; expected DOMAIN DISK'],
    [`job ${connected} --abrot`, "did you mean '--abort'?"],
    [`job ${connected} --raw --abort`, '--raw and --abort are mutually exclusive'],
    [`job ${connected} --info --bandwidth 5`, '--info and --bandwidth are mutually exclusive'],
    [`job ${connected} --async`, '--async has nothing to apply to without --abort'],
    [`job ${connected} --bytes`, '--bytes has nothing to apply to; expected --bandwidth N or --raw'],
    ['reap --qmp s vm0', "argument 'vm0' is unexpected"],
    ['reap a b', "argument 'b' is unexpected; expected DOMAIN"],
    ['events vm0', "argument 'vm0' is unexpected"],
    ['events --timeout 0', "--timeout is '0'"],
    ['chain', 'IMAGE is missing; expected IMAGE'],
    ['chain a b', "argument 'b' is unexpected"],
    ['create a', 'SIZE is missing'],
    ['create a 10Gb', "size is '10Gb'"],
    ['create a 1G --cluster-size 1000', 'clusterSize is'],
    ['create a --backing b', '--backing-format is missing'],
    ['chain a --backing-format =raw', "--backing-format is '=raw'; expected FILE=FORMAT or FORMAT"],
    ['chain a --backing-format b=', "--backing-format is 'b='; expected FILE=FORMAT or FORMAT"],
    ['chain a --backing-format raw --backing-format qcow2', 'is given twice without a file'],
    ['chain a --backing-format b=raw --backing-format b=qcow2', "is given twice for 'b'"],
    ['create a 1G --backing-format raw', '--backing-format has nothing to apply to'],
    ['--quiet pull a', "option '--quiet' has no command before it"],
    ['list extra', "argument 'extra' is unexpected; expected options only"],
  ])('"%s" exits with 2 and says why on stderr', async (line, message) => {
    await expect(terminal.run(line)).resolves.toBe(2)
    expect(terminal.err).toContain(`blockpull: `)
    expect(terminal.err).toContain(message)
    expect(terminal.out).toBe('')
    expect(terminal.binding.calls).toEqual([])
  })

  it('without a command exits with 2 and shows the commands on stderr', async () => {
    await expect(terminal.run('')).resolves.toBe(2)
    expect(terminal.err).toMatch(/^blockpull fills a disk image/)
  })

  it('goes to stdout if asked for', async () => {
    await expect(terminal.run('--help')).resolves.toBe(0)
    for (const name of ['pull', 'job', 'list', 'events', 'reap', 'chain', 'create', 'digest']) {
      expect(terminal.out).toContain(`\n  ${name} `)
      const page = new FakeTerminal()
      await expect(page.run(`${name} --help`)).resolves.toBe(0)
      expect(page.out).toMatch(new RegExp(`^Usage: blockpull ${name} `))
      expect(Math.max(...page.out.split('\n').map((row) => row.length))).toBeLessThan(81)
      expect(page.err).toBe('')
    }
  })

  it('includes the version', async () => {
    await expect(terminal.run('--version')).resolves.toBe(0)
    expect(terminal.out).toBe('blockpull 1.2.3\n')
  })

  it('with --json is an end line too', async () => {
    await expect(terminal.run('chain --json')).resolves.toBe(2)
    expect(terminal.lines).toMatchObject([{ event: 'end', state: 'failed', code: 'INVALID_ARGUMENT' }])
  })
})

describe('pull of an image', () => {
  it('says what was done on stdout and nothing else there', async () => {
    const { exit, job } = await terminal.startPull('pull /srv/a.qcow2')
    job.move(50n)
    await turn()
    job.end(outcomeOf('completed'))
    await expect(exit).resolves.toBe(0)
    expect(terminal.out).toBe(
      '/srv/a.qcow2: pulled, 100.0 MiB moved in 2.0 s (50.0 MiB/s, io_uring)\n' +
        '  /srv/a.qcow2 no longer needs /srv/base.qcow2\n  other images may; --siblings DIR checks them\n',
    )
    expect(terminal.err).toBe('')
    expect(terminal.isListening).toBe(false)
  })

  it('is done too when there was nothing to pull', async () => {
    const { exit, job } = await terminal.startPull('pull a.qcow2')
    job.end({ ...outcomeOf('completed'), bytesMoved: 0n, released: [], method: 'none' })
    await expect(exit).resolves.toBe(0)
    expect(terminal.out).toBe('a.qcow2: nothing to pull\n')
  })

  it.each([
    [4096, 0, '4.0 KiB moved in less than 0.01 s (io_uring)'],
    [4096, 0.000001, '4.0 KiB moved in less than 0.01 s (io_uring)'],
    [4096, 0.01, '4.0 KiB moved in 0.01 s (400.0 KiB/s, io_uring)'],
    [0, 3, 'nothing had to be moved'],
  ])('that moved %d bytes in %d s says "%s"', async (bytes, seconds, words) => {
    const { exit, job } = await terminal.startPull('pull a.qcow2 --siblings /srv')
    job.end({ ...outcomeOf('completed'), bytesMoved: BigInt(bytes), seconds })
    await expect(exit).resolves.toBe(0)
    expect(terminal.out).toBe(`a.qcow2: pulled, ${words}\n  a.qcow2 no longer needs /srv/base.qcow2\n`)
  })

  it('passes its options on, and prints the limit in force', async () => {
    terminal.binding.onStart = (job) => {
      job.latest = { ...job.latest, bandwidth: 52428800n }
    }
    const { exit, job } = await terminal.startPull(
      'pull a --bandwidth 50 --base b --format raw --allow-backing /x --allow-backing /y --siblings /s --siblings /t',
    )
    job.end(outcomeOf('completed'))
    await expect(exit).resolves.toBe(0)
    expect(terminal.binding.last).toEqual({
      path: 'a',
      base: 'b',
      format: 'raw',
      backingFormat: null,
      backingFormats: null,
      backingPaths: ['/x', '/y'],
      bandwidth: 52428800n,
      siblings: ['/s', '/t'],
      trailingData: 'refuse',
    })
    expect(terminal.err).toBe('limit: 50.0 MiB/s (52428800 bytes a second)\n')
  })

  it('passes formats by file on, split at the last =', async () => {
    const { exit, job } = await terminal.startPull('pull a --backing-format /b=c/d=raw --backing-format qcow2')
    job.end(outcomeOf('completed'))
    await expect(exit).resolves.toBe(0)
    const backingFormats = [{ path: '/b=c/d', format: 'raw' }]
    expect(terminal.binding.last).toMatchObject({ backingFormat: 'qcow2', backingFormats })
  })

  it('draws a line on a terminal, and clears it', async () => {
    terminal.isTTY = true
    const { exit, job } = await terminal.startPull('pull /srv/a.qcow2')
    job.end(outcomeOf('completed'))
    await expect(exit).resolves.toBe(0)
    expect(terminal.err).toMatch(/^\ra\.qcow2 {2}░+ {4}0\.0 %/)
    expect(terminal.err.endsWith('\r\u001b[K')).toBe(true)
  })

  it('prints, with or without a terminal, what it waits on and when it continues, but not at its end', async () => {
    const { exit, job } = await terminal.startPull('pull a.qcow2')
    for (const stoppedOn of ['NO_SPACE', null, 'IO']) {
      job.move(50n, { stoppedOn })
      await turn()
    }
    job.end(outcomeOf('completed'))
    await expect(exit).resolves.toBe(0)
    expect(terminal.err.split('\n')).toEqual([
      "the pull waits: disk full; 'blockpull job ... --resume' by another monitor resumes it, Ctrl-C cancels",
      'the pull continues',
      expect.stringContaining('the pull waits: I/O error'),
      '',
    ])
  })

  it('prints JSON lines, the last one the outcome', async () => {
    const { exit, job } = await terminal.startPull('pull a --json')
    job.move(50n)
    await turn()
    job.end(outcomeOf('completed'))
    await expect(exit).resolves.toBe(0)
    const [first, second, third, end] = terminal.lines
    expect(first).toEqual({
      event: 'progress',
      cur: 0,
      end: 104857600,
      bytesMoved: 0,
      bytesToMove: 104857600,
      bytesPerSecond: 10485760,
      etaSeconds: 10,
      method: 'io_uring',
      stoppedOn: null,
      phase: 'moving',
      silentSeconds: 0,
    })
    expect(second).toMatchObject({ event: 'progress', cur: 52428800 })
    expect(third).toMatchObject({ event: 'progress', cur: 104857600 })
    expect(end).toEqual({
      event: 'end',
      state: 'completed',
      code: null,
      message: null,
      hint: null,
      bytesMoved: 104857600,
      seconds: 2,
      method: 'io_uring',
      released: ['/srv/base.qcow2'],
      verified: true,
      durable: true,
      trailingData: null,
    })
    expect(terminal.err).toBe('')
  })

  const doubtful = { verified: false, durable: false, warnings: ['QEMU is gone'] }

  it('says plainly that an end was not verified, and is not known to be durable', async () => {
    const { exit, job } = await terminal.startPull('pull a')
    job.end({ ...outcomeOf('completed'), ...doubtful, released: [] })
    await expect(exit).resolves.toBe(0)
    expect(terminal.out).toBe(
      [
        'a: pulled, 100.0 MiB moved in 2.0 s (50.0 MiB/s, io_uring)',
        '  not verified: keep the backing files',
        '  not known to be durable: keep the backing files until the guest has shut off',
        '',
      ].join('\n'),
    )
    expect(terminal.err).toBe('blockpull: warning: QEMU is gone\n')
  })

  it('says so in its JSON end line', async () => {
    const { exit, job } = await terminal.startPull('pull a --json')
    job.end({ ...outcomeOf('completed'), ...doubtful, released: [] })
    await expect(exit).resolves.toBe(0)
    expect(terminal.lines.at(-1)).toMatchObject({ state: 'completed', verified: false, durable: false, released: [] })
  })

  it('is silent with --quiet, but for a failure', async () => {
    terminal.isTTY = true
    const { exit, job } = await terminal.startPull('pull a --quiet --bandwidth 1M')
    job.end(outcomeOf('completed'))
    await expect(exit).resolves.toBe(0)
    expect(terminal.out + terminal.err).toBe('')
    const other = await terminal.startPull('pull a -q')
    other.job.end(outcomeOf('failed', failure('IO')))
    await expect(other.exit).resolves.toBe(1)
    expect(terminal.err).toBe("blockpull: IO happened in 'a.qcow2'\n")
  })

  it('prints its warnings', async () => {
    const { exit, job } = await terminal.startPull('pull a --json')
    job.end({ ...outcomeOf('completed'), warnings: ["XML 'vm0.xml' could not be rewritten"] })
    await expect(exit).resolves.toBe(0)
    expect(terminal.err).toBe("blockpull: warning: XML 'vm0.xml' could not be rewritten\n")
  })

  it.each([
    ['failed', 'NO_SPACE', 1],
    ['unknown', 'JOB_VANISHED', 1],
    ['failed', 'LOCKED', 4],
    ['cancelled', 'CANCELLED', 3],
  ] as const)('that ends as %s with %s exits with %d', async (state, code, exitCode) => {
    const { exit, job } = await terminal.startPull('pull a --json')
    job.end(outcomeOf(state, failure(code)))
    await expect(exit).resolves.toBe(exitCode)
    expect(terminal.lines.at(-1)).toMatchObject({ event: 'end', state, code, bytesMoved: 104857600 })
    // Also of a cancel that this command did not ask for.
    expect(terminal.err).toMatch(new RegExp(`^blockpull: .*${code} happened in 'a\\.qcow2'\n$`))
    expect(terminal.err).toMatch(/^blockpull: /)
  })

  it.each([
    ['NOT_FOUND', 1],
    ['FEATURE_UNSUPPORTED', 1],
    ['INVALID_ARGUMENT', 1],
    ['LOCKED', 4],
    ['JOB_ACTIVE', 4],
    ['MONITOR_BUSY', 4],
  ])('that is refused with %s exits with %d', async (code, exitCode) => {
    terminal.binding.failures.set('pullImage', failure(code))
    await expect(terminal.run('pull a --json')).resolves.toBe(exitCode)
    expect(terminal.err).toBe(`blockpull: ${code} happened in 'a.qcow2'\n`)
    expect(terminal.lines).toEqual([
      expect.objectContaining({ event: 'end', state: 'failed', code, bytesMoved: 0, released: [] }),
    ])
  })

  it('exits with 1 and no code for what is no error of ours', async () => {
    terminal.binding.failures.set('pullImage', new Error('no addon'))
    await expect(terminal.run('pull a --json')).resolves.toBe(1)
    expect(terminal.lines).toMatchObject([{ code: null, message: 'no addon' }])
  })

  it('refuses --no-wait, with the reason', async () => {
    await expect(terminal.run('pull a --no-wait')).resolves.toBe(1)
    expect(terminal.err).toMatch(
      /--no-wait is not supported for an image file, since the job would end with this process/,
    )
    expect(terminal.binding.calls).toEqual([])
  })
})

describe('pull of several images', () => {
  it('continues after a failure, and names each image in JSON', async () => {
    terminal.binding.onStart = (job) => {
      const isFirst = terminal.binding.jobs.length === 1
      job.end(isFirst ? outcomeOf('failed', failure('IO')) : outcomeOf('completed'))
    }
    await expect(terminal.run('pull a b --json')).resolves.toBe(1)
    const ends = terminal.lines.filter(({ event }) => event === 'end')
    expect(ends).toMatchObject([
      { image: 'a', state: 'failed' },
      { image: 'b', state: 'completed' },
    ])
  })

  it('stops at the one that was interrupted', async () => {
    const { exit } = await terminal.startPull('pull a b')
    terminal.interrupt()
    await expect(exit).resolves.toBe(3)
    expect(terminal.binding.jobs).toHaveLength(1)
  })
})

describe('Ctrl-C', () => {
  it('cancels cleanly and exits with 3', async () => {
    terminal.isTTY = true
    const { exit, job } = await terminal.startPull('pull a --bandwidth 1M')
    terminal.interrupt()
    await expect(exit).resolves.toBe(3)
    expect(job.calls).toEqual(['abort'])
    expect(terminal.err).toContain('stopping at a consistent point; interrupt again to exit immediately\n')
    expect(terminal.err).toContain(
      'blockpull: cancelled after 100.0 MiB; what was copied is kept, and another pull continues from there',
    )
    expect(terminal.exited).toBeNull()
    expect(terminal.isListening).toBe(false)
  })

  it('a second time leaves at once with 130', async () => {
    const { exit, job } = await terminal.startPull('pull a')
    job.onAbort = null
    terminal.interrupt()
    terminal.time += 1000
    terminal.interrupt()
    expect(terminal.exited).toBe(130)
    job.end(outcomeOf('cancelled', failure('CANCELLED')))
    await expect(exit).resolves.toBe(3)
  })

  it('that arrives twice at once is one', async () => {
    const { exit, job } = await terminal.startPull('pull a')
    terminal.interrupt()
    terminal.time += 50
    terminal.interrupt()
    await expect(exit).resolves.toBe(3)
    expect(terminal.exited).toBeNull()
    expect(job.calls).toEqual(['abort'])
  })

  it('while the job starts ends it as well', async () => {
    terminal.binding.onStart = () => void terminal.interrupt()
    await expect(terminal.run('pull a --json')).resolves.toBe(3)
    expect(terminal.lines.at(-1)).toMatchObject({ event: 'end', state: 'cancelled', code: 'CANCELLED' })
  })

  it('too late leaves a completed pull completed', async () => {
    const { exit, job } = await terminal.startPull('pull a')
    job.onAbort = outcomeOf('completed')
    terminal.interrupt()
    await expect(exit).resolves.toBe(0)
  })
})

describe('a timeout', () => {
  it('cancels the job and says so', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { exit } = await terminal.startPull('pull a --timeout 1 --json')
    vi.advanceTimersByTime(1000)
    vi.useRealTimers()
    await expect(exit).resolves.toBe(3)
    expect(terminal.err).toMatch(/^blockpull: timeout of 1 s expired: cancelled after 100\.0 MiB; what was copied/)
  })
})
