// SPDX-License-Identifier: Apache-2.0
//
// check, compare and info: what they print of an answer, and their own exit codes.

import { beforeEach, describe, expect, it } from 'vitest'
import { failure, plainInfo, soundReport, turn } from '../fake-binding.js'
import { FakeTerminal } from './fake-context.js'

let terminal: FakeTerminal
beforeEach(() => {
  terminal = new FakeTerminal()
})

describe('check', () => {
  const leak = { severity: 'leak', code: 'leak', message: 'cluster 5 has refcount 1 and 0 references', offset: 327680n }

  it('says that an image is sound, and how much of it is in use', async () => {
    terminal.binding.report = { ...soundReport, compressedClusters: 2n, snapshots: 2, bitmaps: 1 }
    await expect(terminal.run('check a.qcow2')).resolves.toBe(0)
    expect(terminal.out).toBe(
      'a.qcow2: sound; 800 of 3200 clusters in use (25.0 %), 2 compressed, 2 snapshots, 1 bitmap\n',
    )
  })

  it('lists findings, counts the others, and ends with 3 for leaks alone', async () => {
    terminal.binding.report = { ...soundReport, leaks: 3n, findings: [leak] }
    await expect(terminal.run('check a.qcow2')).resolves.toBe(3)
    expect(terminal.out.split('\n').slice(0, 3)).toEqual([
      'leak: cluster 5 has refcount 1 and 0 references',
      '… and 2 more leaks',
      'a.qcow2: 3 leaks; 800 of 3200 clusters in use (25.0 %)',
    ])
  })

  it('ends with 2 for errors, and says so in JSON', async () => {
    terminal.binding.report = { ...soundReport, errors: 1n, leaks: 1n, findings: [leak] }
    await expect(terminal.run('check a.qcow2 --json')).resolves.toBe(2)
    expect(terminal.lines).toMatchObject([
      { event: 'check', path: 'a.qcow2', errors: 1, leaks: 1, findings: [{ code: 'leak', offset: 327680 }] },
      { event: 'end', state: 'completed', code: 'ERRORS', message: '1 error' },
    ])
  })

  it.each([
    ['check', 1],
    ['check a.qcow2 --nonsense', 1],
  ])('%s is a usage error, with the exit code of a check that did not complete', async (line, code) => {
    await expect(terminal.run(line)).resolves.toBe(code)
  })

  it.each([
    ['FORMAT_UNKNOWN', 63],
    ['LOCKED', 1],
    ['IMAGE_CORRUPT', 1],
  ])('that fails with %s ends with %s', async (code, exit) => {
    terminal.binding.failures.set('checkImage', failure(code))
    await expect(terminal.run('check a.qcow2 --json')).resolves.toBe(exit)
    expect(terminal.lines).toMatchObject([{ event: 'end', state: 'failed', code }])
  })

  it('ends with 1 when it is interrupted', async () => {
    terminal.binding.untilClosed.add('checkImage')
    const exit = terminal.run('check a.qcow2')
    while (!terminal.isListening) await turn()
    terminal.interrupt()
    await expect(exit).resolves.toBe(1)
    expect(terminal.err).toBe('blockpull: cancelled; nothing was changed\n')
    expect(terminal.isListening).toBe(false)
  })
})

describe('compare', () => {
  it('says that two disks are equal', async () => {
    await expect(terminal.run('compare a.qcow2 b.raw --other-format raw')).resolves.toBe(0)
    expect(terminal.out).toBe('the disks are equal\n')
    expect(terminal.binding.last).toMatchObject([
      { path: 'a.qcow2', format: null },
      { path: 'b.raw', format: 'raw' },
    ])
  })

  it('says which disk is longer', async () => {
    terminal.binding.comparison = { firstDifference: null, aSize: 1n << 30n, bSize: 1n << 20n }
    await expect(terminal.run('compare a b')).resolves.toBe(0)
    expect(terminal.out).toBe('the disks are equal up to 1.0 MiB; the rest of the first one is zeros\n')
  })

  it('ends with 1 where they differ, and names the first byte', async () => {
    terminal.binding.comparison = { firstDifference: 512n, aSize: 1024n, bSize: 1024n }
    await expect(terminal.run('compare a b --json')).resolves.toBe(1)
    expect(terminal.lines).toMatchObject([
      { event: 'compare', a: 'a', b: 'b', firstDifference: 512, sizes: [1024, 1024] },
      { event: 'end', code: 'DIFFERENT', message: 'the disks differ, first in byte 512' },
    ])
  })

  it('ends with 2 when it cannot compare', async () => {
    terminal.binding.failures.set('compareImages', failure('NOT_FOUND'))
    await expect(terminal.run('compare a b')).resolves.toBe(2)
    await expect(terminal.run('compare a')).resolves.toBe(2)
  })
})

describe('info', () => {
  it('shows the header, the snapshots and the bitmaps', async () => {
    await expect(terminal.run('info a.qcow2')).resolves.toBe(0)
    expect(terminal.out).toBe(
      [
        'image           a.qcow2',
        'format          qcow2, version 3',
        'virtual size    200.0 MiB (209715200 bytes)',
        'on disk         60.0 MiB',
        'backing file    base.raw',
        'backing format  raw',
        'cluster size    64.0 KiB',
        'refcount bits   16',
        'compression     zstd',
        'features        compression-type, bitmaps',
        '',
        'SNAPSHOT  NAME   TAKEN                      DISK  VM STATE',
        '1         clean  2023-11-14T22:13:20Z  200.0 MiB         -',
        '',
        'BITMAP  GRANULARITY  STATE',
        'backup     64.0 KiB  recording',
        '',
      ].join('\n'),
    )
  })

  it('cuts a long name, which JSON has whole', async () => {
    const { qcow2 } = plainInfo
    const [snapshot] = qcow2?.snapshots ?? []
    if (qcow2 === null || snapshot === undefined) throw new Error('the sample has a snapshot')
    const name = `a\n${'b'.repeat(65533)}`
    terminal.binding.imageHeader = { ...plainInfo, qcow2: { ...qcow2, snapshots: [{ ...snapshot, name }] } }
    await expect(terminal.run('info a.qcow2')).resolves.toBe(0)
    expect(terminal.out).toContain(`a\\n${'b'.repeat(24)}...  2023-`)
    terminal.out = ''
    await expect(terminal.run('info a.qcow2 --json')).resolves.toBe(0)
    expect(terminal.lines[0]).toMatchObject({ qcow2: { snapshots: [{ name }] } })
  })

  it('shows a raw image, and all of it in JSON', async () => {
    terminal.binding.imageHeader = { ...plainInfo, format: 'raw', backingFile: null, backingFormat: null, qcow2: null }
    await expect(terminal.run('info a.raw --format raw')).resolves.toBe(0)
    expect(terminal.out).toContain('format        raw\n')
    terminal.out = ''
    await expect(terminal.run('info a.raw --format raw --json')).resolves.toBe(0)
    expect(terminal.lines[0]).toMatchObject({ event: 'info', format: 'raw', virtualSize: 209715200, qcow2: null })
  })
})
