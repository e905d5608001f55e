// SPDX-License-Identifier: Apache-2.0
//
// What a real QEMU does rarely, and what its clients get wrong then: replies that are late, out of order or in
// pieces, events before the reply to what caused them, jobs that are gone, monitors that are taken or that fall
// silent, bytes that are no message.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { faults, type QmpPeer, versions } from '../qmp-peer/index.mjs'
import type { Fault } from '../qmp-peer/types.js'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import { Random, runSeed } from '../support/random.js'
import { TempFolder } from '../support/temp-folder.js'
import {
  deeds,
  diskBytes,
  endOf,
  images,
  jobIn,
  nodes,
  open,
  quick,
  safeOrder,
  safeOrderInTries,
  start,
  startAtFlush,
  startPeer,
  takeMonitor,
} from './live-domain.js'

const temp = new TempFolder('rare-replies')
afterAll(() => temp.remove())

const runsSeed = runSeed()
const random = new Random(runsSeed)
const seed = random.below(2 ** 31)
console.log(`rare replies: BLOCKPULL_SEED=${runsSeed}`)

/** Each message is written this much after the one before, by chance from 0 to `most` ms; their order is kept. */
function stutter(most: number): Fault {
  let last: Promise<unknown> = Promise.resolve()
  return {
    outgoing(_message, next) {
      const milliseconds = random.between(0, most)
      last = last.then(() => sleep(milliseconds)).then(next)
    },
  }
}

describe('a pull completes, in the safe order and reported once, although', () => {
  const always: readonly [string, () => Fault[]][] = [
    ['nothing is wrong', () => []],
    ['replies are late', () => [faults.delayReplies(20)]],
    ['every message is late', () => [stutter(10)]],
    ['messages come one byte at a time', () => [faults.fragment(1)]],
    ['messages come in random pieces', () => [faults.fragmentAtRandom(seed, 40)]],
    ['messages are pretty and in pieces', () => [faults.pretty(), faults.fragmentAtRandom(seed, 9)]],
    [
      'the job is pending before its start is answered',
      () => [faults.replyAfterEvent('block-stream', 'BLOCK_JOB_PENDING')],
    ],
    [
      'it has concluded before the finalize is answered',
      () => [faults.replyAfterEvent('job-finalize', 'JOB_STATUS_CHANGE', 'concluded')],
    ],
    ['no event ever comes', () => [faults.loseEvents()]],
    ['a reply has bytes before it that are no message', () => [faults.garbageBefore('}~[', 'job-finalize')]],
    [
      'bytes that are no JSON come in brackets',
      () => [faults.garbageBefore('{"return": nonsense}', 'query-block-jobs')],
    ],
    [
      'an error without an id comes',
      () => [faults.garbageBefore('{"error": {"class": "GenericError", "desc": "?"}}', 'blockdev-reopen')],
    ],
    ['an object that is no message comes', () => [faults.garbageBefore('{"hello": 1}', 'blockdev-del')]],
    ['an answer to nothing comes', () => [faults.garbageBefore('{"return": {}, "id": 4711}', 'blockdev-reopen')]],
    ['the finalize is refused once', () => [faults.refuse('job-finalize', { desc: 'try later' }, 1)]],
    [
      'the look at the jobs is refused once',
      () => [from('block-stream', faults.refuse('query-block-jobs', { desc: 'try later' }, 1))],
    ],
    ['the filter of a flush cannot be removed', () => [faults.refuse('blockdev-del', { desc: 'no' }, 1)]],
    ['no filter can be had', () => [faults.refuse('blockdev-add', { desc: "Unknown driver 'blkdebug'" })]],
  ]

  /** A fault that only begins once that command has come. */
  function from(command: string, fault: Fault): Fault {
    let hasCome = false
    return {
      received(received, line) {
        if (received.name === command) hasCome = true
        return hasCome ? fault.received?.(received, line) : undefined
      },
    }
  }

  test.each(always)('%s', async (_what, make) => {
    const { peer, domain, events } = await start(temp, make(), quick)
    const job = await domain.blockPull('vda')
    expect(await endOf(job)).toBe('completed')
    expect(job.outcome).toMatchObject({ method: 'block-stream', verified: false, released: [], bytesMoved: diskBytes })
    expect(deeds(peer).join(' ')).toMatch(safeOrderInTries)
    expect(events).toMatchObject([{ status: 0, target: 'vda', error: null }])
  })

  test('a disk without a backing file has no work, and QEMU is asked for no job', async () => {
    const disks = [{ device: 'vda', nodes: nodes('only', [images[0]]) }]
    const { peer, domain, events } = await start(temp, [], { disks })
    const job = await domain.blockPull('vda')
    expect(await endOf(job)).toBe('completed')
    expect(job.progress).toMatchObject({ cur: diskBytes, end: diskBytes, method: 'none' })
    expect(deeds(peer)).toEqual(['flush'])
    expect(events).toHaveLength(1)
  })

  test('a drain pauses it', async () => {
    const { peer, domain } = await start(temp)
    const job = await domain.blockPull('vda')
    for (let i = 1; i <= 4; i++) {
      peer.drain(jobIn(peer))
      peer.advance(jobIn(peer), diskBytes / 4)
    }
    expect(await endOf(job)).toBe('completed')
  })

  test('another program works on another disk beside it, and its job is not touched', async () => {
    const mine = { device: 'vda', nodes: nodes('n') }
    const other = { device: 'vdb', nodes: nodes('other', ['/vms/t2', '/vms/b2']) }
    const peer = await startPeer(temp, [], { ...quick, disks: [mine, other] })
    const client = await QmpClient.connect(peer.path)
    const byHand = { 'auto-finalize': false, 'auto-dismiss': false }
    await client.execute('block-stream', { 'job-id': 'theirs', device: 'vdb', ...byHand })
    await client.close()
    const { domain } = await open(peer)
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
    expect(peer.statusOf('theirs')).toBe('pending')
  })
})

describe('a job that', () => {
  test('goes straight to null is unknown, never completed, and may be started again', async () => {
    const { peer, domain, events } = await start(temp)
    const job = await domain.blockPull('vda')
    peer.advance(jobIn(peer), diskBytes / 2)
    peer.vanish(jobIn(peer))
    expect(await endOf(job)).toBe('unknown JOB_VANISHED')
    expect(job.outcome).toMatchObject({ released: [], error: { retryable: true, path: images[0] } })
    expect(deeds(peer)).toEqual(['block-stream'])
    expect(events).toMatchObject([{ status: 1, error: { code: 'JOB_VANISHED' } }])
    peer.pace(diskBytes)
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
  })

  test('vanishes without an event is unknown as well', async () => {
    const { peer, domain } = await start(temp, [faults.loseEvents()])
    const job = await domain.blockPull('vda')
    peer.vanish(jobIn(peer))
    expect(await endOf(job)).toBe('unknown JOB_VANISHED')
  })

  test('vanishes while it is flushed at pending is unknown, and is not finalized', async () => {
    const { peer, job, flush } = await startAtFlush(temp)
    peer.vanish(jobIn(peer))
    expect(await endOf(job)).toBe('unknown JOB_VANISHED')
    flush.release()
    expect(deeds(peer)).toEqual(['block-stream', 'flush'])
  })

  test('another program cancels while our connection is down is unknown', async () => {
    const { peer, domain } = await start(temp)
    const job = await domain.blockPull('vda')
    const client = await takeMonitor(peer)
    await client.execute('job-cancel', { id: jobIn(peer) })
    await client.close()
    expect(await endOf(job)).toBe('unknown JOB_VANISHED')
  })

  const lostAtFinalize: readonly [string, (peer: QmpPeer) => Fault][] = [
    [
      'another program cancels as our finalize is lost with the connection',
      (peer) => ({
        received({ name }, line) {
          if (name !== 'job-finalize') return undefined
          line.hangUp()
          peer.cancel(jobIn(peer))
          return 'ignore'
        },
      }),
    ],
    [
      'fails when it is finalized, and whose end is lost with the connection',
      (peer) => ({
        received({ name }) {
          if (name === 'job-finalize') peer.fail(jobIn(peer), 'Input/output error')
          return undefined
        },
        outgoing(message, next, line) {
          const isLost = deeds(peer).includes('job-finalize') && peer.log.filter(isEnd).length === 1
          if (isLost && message.kind === 'event') line.hangUp()
          else next()
        },
      }),
    ],
  ]
  const isEnd = ({ name }: { readonly name: string }): boolean => name === 'BLOCK_JOB_COMPLETED'

  test.each(lostAtFinalize)('%s is unknown: the old chain says that it was not done', async (_what, fault) => {
    const { peer, domain, events } = await start(temp, [], quick)
    const behave = peer.misbehave(fault(peer))
    const job = await domain.blockPull('vda')
    expect(await endOf(job)).toBe('unknown JOB_VANISHED')
    expect(job.outcome).toMatchObject({ released: [], error: { retryable: true } })
    expect(deeds(peer)).toEqual(['block-stream', 'flush', 'job-finalize'])
    expect(events).toMatchObject([{ status: 1, error: { code: 'JOB_VANISHED' } }])
    behave()
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
  })

  test('another program cancels is cancelled, and says so', async () => {
    const { peer, domain } = await start(temp)
    const job = await domain.blockPull('vda')
    peer.cancel(jobIn(peer))
    expect(await endOf(job)).toBe('cancelled CANCELLED')
    expect(job.outcome?.error?.message).toContain('was cancelled by another program')
  })

  test.each([
    ['Input/output error', 'IO'],
    ['No space left on device', 'NO_SPACE'],
    ['Permission denied', 'JOB_FAILED'],
  ])('fails with “%s” has failed with %s, keeps its backing file, and leaves nothing in QEMU', async (text, code) => {
    const { peer, domain, events } = await start(temp)
    const job = await domain.blockPull('vda')
    peer.advance(jobIn(peer), diskBytes / 2)
    peer.fail(jobIn(peer), text)
    expect(await endOf(job)).toBe(`failed ${code}`)
    expect(job.outcome).toMatchObject({ released: [], error: { message: expect.stringContaining(text) } })
    expect(deeds(peer)).toEqual(['block-stream'])
    expect(peer.statusOf(jobIn(peer))).toBeUndefined()
    expect(events).toMatchObject([{ status: 1, error: { code } }])
  })

  test('fails when it is finalized is reported as failed', async () => {
    const { peer, job, flush } = await startAtFlush(temp)
    peer.fail(jobIn(peer), 'No space left on device')
    flush.release()
    expect(await endOf(job)).toBe('failed NO_SPACE')
    expect(deeds(peer)).toEqual(['block-stream', 'flush', 'job-finalize'])
  })
})

describe('a flush that QEMU refuses', () => {
  const desc = 'Error flushing drive: Input/output error'

  test('at pending ends the pull before the header changes', async () => {
    const { peer, domain, events } = await start(temp, [faults.refuse('blockdev-reopen', { desc })], quick)
    const job = await domain.blockPull('vda')
    expect(await endOf(job)).toBe('failed IO')
    expect(job.outcome).toMatchObject({
      released: [],
      error: { message: expect.stringContaining('Input/output error') },
    })
    expect(deeds(peer)).toEqual(['block-stream', 'flush', 'job-cancel'])
    expect(peer.statusOf(jobIn(peer))).toBeUndefined()
    expect(events).toMatchObject([{ status: 1, error: { code: 'IO' } }])
  })

  test('after the finalize makes it fail, and no file is released', async () => {
    const { peer, domain } = await start(temp, [], quick)
    peer.misbehave({
      received: ({ name }) =>
        name === 'blockdev-reopen' && deeds(peer).includes('job-finalize') ? { error: { desc } } : undefined,
    })
    const job = await domain.blockPull('vda')
    expect(await endOf(job)).toBe('failed IO')
    expect(job.outcome).toMatchObject({
      released: [],
      error: { message: expect.stringContaining('keep its backing files') },
    })
    expect(deeds(peer)).toEqual(safeOrder)
    expect(peer.statusOf(jobIn(peer))).toBeUndefined()
  })

  test.each([
    ['with an error of QMP', () => faults.refuse('human-monitor-command', { desc: 'not now' })],
    ['by words that it prints', () => faults.answer('human-monitor-command', 'Error: not now\r\n')],
  ])('and that has no blockdev-reopen, %s, is the same', async (_how, fault) => {
    const { peer, domain } = await start(temp, [fault()], { ...quick, version: versions.qemu42 })
    const job = await domain.blockPull('vda')
    await endOf(job)
    expect(job.outcome).toMatchObject({ state: 'failed', error: { message: expect.stringContaining('not now') } })
    expect(deeds(peer)).toEqual(['block-stream', 'flush', 'job-cancel'])
  })
})
