// SPDX-License-Identifier: Apache-2.0
//
// The commands beside the pull of an image, over a fake binding: what each asks, prints and exits with.

import { beforeEach, describe, expect, it } from 'vitest'
import { failure, layerOf, outcomeOf, planOf, turn } from '../fake-binding.js'
import { FakeTerminal } from './fake-context.js'

let terminal: FakeTerminal
beforeEach(() => {
  terminal = new FakeTerminal()
})

const connected = '--connect qemu:///embed?root=/srv vm0 vda'

describe('a dry run', () => {
  it('prints what a pull would do, and does nothing', async () => {
    terminal.binding.nextPlan = planOf({ seconds: 2, base: '/srv/b.qcow2' })
    await expect(terminal.run('pull a --dry-run --bandwidth 50')).resolves.toBe(0)
    expect(terminal.out).toBe(
      [
        'a: would be pulled',
        '  to move            100.0 MiB (io_uring)',
        '  to allocate        101.0 MiB of 1000.0 MiB free',
        '  at this limit      2.0 s',
        '  backing file then  /srv/b.qcow2',
        '  no longer needs    /srv/base.qcow2',
        '                     other images may; --siblings DIR checks them',
        '',
      ].join('\n'),
    )
    expect(terminal.binding.jobs).toEqual([])
  })

  it('does not end as completed', async () => {
    terminal.binding.nextPlan = planOf()
    await expect(terminal.run('pull a --dry-run --json')).resolves.toBe(0)
    expect(terminal.lines).toMatchObject([{ event: 'plan' }, { event: 'end', state: 'planned', bytesMoved: 0 }])
    await expect(terminal.run('pull a b --dry-run --json')).resolves.toBe(0)
    expect(terminal.out).not.toContain('completed')
  })

  it('ends as the pull would when that would be refused', async () => {
    terminal.binding.nextPlan = planOf({ refusals: [failure('LOCKED'), failure('NO_SPACE')] })
    await expect(terminal.run('pull a --dry-run --json')).resolves.toBe(4)
    expect(terminal.lines[0]).toMatchObject({
      event: 'plan',
      bytesToMove: 104857600,
      refusals: [
        { code: 'LOCKED', hint: null },
        { code: 'NO_SPACE', hint: null },
      ],
    })
    expect(terminal.lines[1]).toMatchObject({ event: 'end', state: 'failed', code: 'LOCKED' })
  })

  it('says that there is nothing to pull', async () => {
    terminal.binding.nextPlan = planOf({ bytesToMove: 0n, released: [], method: 'none' })
    await expect(terminal.run('pull a --dry-run')).resolves.toBe(0)
    expect(terminal.out).toBe('a: nothing to pull\n')
  })

  it('prints each refusal once, and what the pull would do without them', async () => {
    terminal.binding.nextPlan = planOf({ refusals: [failure('LOCKED'), failure('NO_SPACE')] })
    await expect(terminal.run('pull a --dry-run')).resolves.toBe(4)
    expect(terminal.out).toBe(
      [
        'a: would be refused',
        "  also               NO_SPACE happened in 'a.qcow2'",
        '  to move            100.0 MiB (io_uring)',
        '  to allocate        101.0 MiB of 1000.0 MiB free',
        '  backing file then  none',
        '  no longer needs    /srv/base.qcow2',
        '                     other images may; --siblings DIR checks them',
        '',
      ].join('\n'),
    )
    expect(terminal.err).toBe("blockpull: LOCKED happened in 'a.qcow2'\n")
  })

  it('prints the hints of further refusals', async () => {
    const refusals = [failure('LOCKED'), failure('JOB_ACTIVE', { hint: "job 'b0' works on 'a.qcow2'" })]
    terminal.binding.nextPlan = planOf({ bytesToMove: 0n, refusals })
    await expect(terminal.run('pull a --dry-run')).resolves.toBe(4)
    expect(terminal.out).toBe(
      "a: would be refused\n  also  JOB_ACTIVE happened in 'a.qcow2'\n        job 'b0' works on 'a.qcow2'\n",
    )
  })

  it('prints no bytes if a refusal came before the count', async () => {
    terminal.binding.nextPlan = planOf({ bytesToMove: 0n, refusals: [failure('FEATURE_UNSUPPORTED')] })
    await expect(terminal.run('pull a --dry-run')).resolves.toBe(1)
    expect(terminal.out).toBe('a: would be refused\n')
  })

  it('marks estimates if the free space is not known', async () => {
    terminal.binding.nextPlan = planOf({ method: 'block-stream', bytesFree: null })
    await expect(terminal.run(`pull ${connected} --dry-run`)).resolves.toBe(0)
    expect(terminal.out).toBe(
      [
        'vm0 vda: would be pulled',
        '  to move            about 100.0 MiB (block-stream)',
        '  to allocate        about 101.0 MiB',
        '  backing file then  none',
        '  no longer needs    /srv/base.qcow2',
        '',
      ].join('\n'),
    )
    terminal.binding.nextPlan = planOf({ method: 'block-stream', bytesToMove: 0n, released: [] })
    await expect(terminal.run(`pull ${connected} --dry-run`)).resolves.toBe(0)
    expect(terminal.out).toContain('would be pulled\n  to move            0 B (block-stream)\n')
  })

  it("asks a domain's connection for reading only", async () => {
    await expect(terminal.run(`pull ${connected} --dry-run`)).resolves.toBe(0)
    expect(terminal.binding.calls[0]).toMatchObject({ name: 'openConnection', request: { readOnly: true } })
  })

  it('fails as a plan can fail', async () => {
    terminal.binding.failures.set('planImage', failure('NOT_FOUND'))
    await expect(terminal.run('pull a --dry-run')).resolves.toBe(1)
    terminal.binding.failures.set('plan', failure('NO_DISK'))
    await expect(terminal.run(`pull ${connected} --dry-run`)).resolves.toBe(1)
  })
})

describe("pull of a domain's disk", () => {
  it('connects, pulls, and closes the connection', async () => {
    const { exit, job } = await terminal.startPull(`pull ${connected} --base vda[1] --bandwidth 1 --bytes`)
    expect(terminal.binding.last).toMatchObject({ disk: 'vda', base: 'vda[1]', bandwidth: 1n })
    job.end(outcomeOf('completed'))
    await expect(exit).resolves.toBe(0)
    expect(terminal.out).toMatch(/^vm0 vda: pulled, 100\.0 MiB moved/)
    expect(terminal.binding.calls.at(-1)?.name).toBe('close')
  })

  it.each([
    ['lookupDomain', 'NO_DOMAIN', 1],
    ['blockPull', 'JOB_ACTIVE', 4],
    ['openConnection', 'NOT_FOUND', 1],
  ])('that fails in %s with %s exits with %d', async (name, code, exitCode) => {
    terminal.binding.failures.set(name, failure(code))
    await expect(terminal.run(`pull ${connected} --json`)).resolves.toBe(exitCode)
    expect(terminal.lines).toMatchObject([{ event: 'end', state: 'failed', code }])
    expect(terminal.err).toBe(`blockpull: ${code} happened in 'a.qcow2'\n`)
  })
})

describe('chain', () => {
  const layers = [
    layerOf('/srv/a.qcow2', { inUseBy: 'pid 4711 (qemu-system-x86)' }),
    layerOf('/srv/base.raw', { format: 'raw', clusterSize: 0n, visibleBytes: 1n << 20n }),
  ]

  it('shows the layers, top first', async () => {
    terminal.binding.layers = layers
    await expect(terminal.run('chain a.qcow2')).resolves.toBe(0)
    expect(terminal.out).toBe(
      [
        'IMAGE            FORMAT    VIRTUAL   ON DISK   SHARE',
        '/srv/a.qcow2     qcow2   200.0 MiB  50.0 MiB  25.0 %  in use by pid 4711 (qemu-system-x86)',
        '└ /srv/base.raw  raw     200.0 MiB  50.0 MiB   0.5 %',
        '',
      ].join('\n'),
    )
  })

  it('prints a line for each layer with --json', async () => {
    terminal.binding.layers = layers
    await expect(terminal.run('chain a.qcow2 --json --backing-format raw')).resolves.toBe(0)
    expect(terminal.lines).toMatchObject([
      { event: 'layer', path: '/srv/a.qcow2', virtualSize: 209715200 },
      { event: 'layer', path: '/srv/base.raw', clusterSize: 0 },
      { event: 'end', state: 'completed' },
    ])
    expect(terminal.binding.last).toMatchObject({ backingFormat: 'raw' })
  })

  it('fails with a sentence', async () => {
    terminal.binding.failures.set('inspectChain', failure('CHAIN_LOOP'))
    await expect(terminal.run('chain a.qcow2')).resolves.toBe(1)
    expect(terminal.err).toBe("blockpull: CHAIN_LOOP happened in 'a.qcow2'\n")
  })
})

describe('create and digest', () => {
  it('create says what it made', async () => {
    await expect(terminal.run('create a.qcow2 10G --cluster-size 4K')).resolves.toBe(0)
    expect(terminal.out).toBe('a.qcow2: created, 10G\n')
    await expect(terminal.run('create b.qcow2 4096')).resolves.toBe(0)
    expect(terminal.out).toContain('b.qcow2: created, 4096 bytes\n')
    await expect(terminal.run('create a.qcow2 10G --cluster-size 4K')).resolves.toBe(0)
    expect(terminal.binding.last).toMatchObject({ path: 'a.qcow2', size: 10n << 30n, clusterSize: 4096n })
    await expect(terminal.run('create o.qcow2 --backing a.qcow2 --backing-format qcow2')).resolves.toBe(0)
    expect(terminal.out).toContain("o.qcow2: created, as large as its backing file, over 'a.qcow2' (qcow2)\n")
    expect(terminal.binding.last).toMatchObject({ size: null, backingFile: 'a.qcow2', backingFormat: 'qcow2' })
    await expect(terminal.run('create o.qcow2 1G --json')).resolves.toBe(0)
    expect(terminal.out).toContain('{"event":"created","path":"o.qcow2"}\n')
  })

  it('digest prints what sha256sum would', async () => {
    await expect(terminal.run('digest a.qcow2')).resolves.toBe(0)
    expect(terminal.out).toBe(`${'ab'.repeat(32)}  a.qcow2\n`)
    terminal.out = ''
    await expect(terminal.run('digest a.qcow2 --json')).resolves.toBe(0)
    expect(terminal.lines[0]).toEqual({ event: 'digest', path: 'a.qcow2', sha256: 'ab'.repeat(32), bytes: 209715200 })
  })
})

describe('digest of an image that somebody writes to', () => {
  it('comes with a warning', async () => {
    terminal.binding.layers = [layerOf('a.qcow2', { inUseBy: 'pid 4711 (qemu-system-x86)' })]
    await expect(terminal.run('digest a.qcow2')).resolves.toBe(0)
    expect(terminal.err).toBe(
      "blockpull: warning: 'a.qcow2' is in use by pid 4711 (qemu-system-x86); " +
        'the image may have changed while it was read\n',
    )
  })
})

describe('a virtual size above 2^53', () => {
  const virtualSize = 2n ** 54n + 1n

  it('is shown by chain, exactly with --json', async () => {
    terminal.binding.layers = [layerOf('a.qcow2', { virtualSize })]
    await expect(terminal.run('chain a.qcow2')).resolves.toBe(0)
    expect(terminal.out).toContain(' 16.0 PiB ')
    await expect(terminal.run('chain a.qcow2 --json')).resolves.toBe(0)
    expect(terminal.out).toContain('"virtualSize":18014398509481985,')
  })

  it('is planned, pulled and listed', async () => {
    terminal.binding.nextPlan = planOf({ virtualSize })
    await expect(terminal.run('pull a --dry-run --json')).resolves.toBe(0)
    expect(terminal.out).toContain('"virtualSize":18014398509481985,')
    const { exit, job } = await terminal.startPull('pull a --json')
    job.move(0n, { cur: virtualSize - 1n, end: virtualSize })
    await turn()
    job.end(outcomeOf('completed'))
    await expect(exit).resolves.toBe(0)
    expect(terminal.out).toContain('"cur":18014398509481984,"end":18014398509481985,')
    terminal.binding.info = {
      type: 1,
      bandwidth: 0n,
      cur: 2n ** 53n,
      end: virtualSize - 1n,
      state: 'running',
      stoppedOn: null,
      foreign: false,
    }
    terminal.out = ''
    await expect(terminal.run('list --connect qemu:///embed?root=/srv')).resolves.toBe(0)
    expect(terminal.out).toContain('pull, 50.0 %')
  })
})

describe('list', () => {
  const line = 'list --connect qemu:///embed?root=/srv'

  it('shows domains, disks and jobs', async () => {
    terminal.binding.info = {
      type: 1,
      bandwidth: 0n,
      cur: 42n,
      end: 100n,
      state: 'running',
      stoppedOn: null,
      foreign: false,
    }
    await expect(terminal.run(line)).resolves.toBe(0)
    expect(terminal.out).toBe('DOMAIN  STATE     DISK  JOB\nvm0     shut off  vda   pull, 42.0 %\n')
    expect(terminal.binding.calls[0]?.request).toMatchObject({ readOnly: true })
  })

  it('shows a disk that another process pulls, and exits with 4', async () => {
    terminal.binding.layers = [layerOf('/srv/vm0.qcow2', { inUseBy: 'pid 12 (blockpull)' })]
    await expect(terminal.run(line)).resolves.toBe(4)
    expect(terminal.out).toContain('pulled by pid 12 (blockpull)\n')
    expect(terminal.err).toBe('blockpull: 1 disk is in use by another process; try again when it is done\n')
  })

  it('shows a disk that a guest uses, and exits with 0', async () => {
    terminal.binding.layers = [layerOf('/srv/vm0.qcow2', { inUseBy: 'pid 12 (qemu-system-x86)' })]
    await expect(terminal.run(line)).resolves.toBe(0)
    expect(terminal.out).toContain('in use by pid 12 (qemu-system-x86)\n')
  })

  it('continues after a disk that cannot be read', async () => {
    terminal.binding.failures.set('inspectChain', failure('NOT_FOUND'))
    await expect(terminal.run(`${line} --json`)).resolves.toBe(0)
    expect(terminal.lines).toMatchObject([
      { event: 'domain', name: 'vm0', disks: [{ target: 'vda', job: null, error: 'NOT_FOUND' }] },
      { event: 'end', state: 'completed' },
    ])
  })

  it('treats a missing URI as a usage error', async () => {
    terminal.binding.failures.set('openConnection', failure('INVALID_ARGUMENT', { virCode: 5 }))
    await expect(terminal.run('list')).resolves.toBe(2)
    expect(terminal.binding.last).toMatchObject({ uri: '' })
  })
})
