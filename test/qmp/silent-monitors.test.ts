// SPDX-License-Identifier: Apache-2.0
//
// Monitors that somebody else has, that never say a word, or that fall silent: the call fails in its time with a code
// that says what to do, other domains notice nothing, and a job goes on once its QEMU speaks again.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { faults, type QmpPeer } from '../qmp-peer/index.mjs'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import {
  deeds,
  endOf,
  failureOf,
  jobIn,
  open,
  quick,
  safeOrder,
  start,
  startPeer,
  takeMonitor,
  timesAsked,
  until,
} from './live-domain.js'

const temp = new TempFolder('silent-monitors')
afterAll(() => temp.remove())

describe('a monitor', () => {
  /** Long enough for a busy machine to answer in. */
  const short = { connect: 1200, query: 1200, change: 1200 }

  test('that sends no greeting is busy and retryable, and works once the other client has left', async () => {
    const peer = await startPeer(temp, [], quick)
    const other = await QmpClient.connect(peer.path)
    const { domain, events } = await open(peer, short)
    expect(domain.state).toBe('running')
    for (const call of [() => domain.blockPull('vda'), () => domain.blockJobInfo('vda'), () => domain.reap()]) {
      expect(await failureOf(call())).toMatchObject({ code: 'MONITOR_BUSY', virCode: 87, retryable: true })
    }
    await other.close()
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
    expect(events).toHaveLength(1)
  })

  test('that another client takes in the middle of a job has it back later, and the job completes', async () => {
    const { peer, domain } = await start(temp, [], {}, short)
    const job = await domain.blockPull('vda')
    const other = await takeMonitor(peer)
    peer.complete(jobIn(peer))
    expect((await other.execute('query-jobs'))[0]).toMatchObject({ status: 'pending' })
    await other.close()
    expect(await endOf(job)).toBe('completed')
    expect(deeds(peer)).toEqual(safeOrder)
  })

  test('that falls silent after any number of commands times out, and delays nobody else', async () => {
    const healthy = await start(temp, [], { progressPerTick: 1024 })
    const job = await healthy.domain.blockPull('vda')
    const refused = Array.from({ length: 9 }, async (_, count) => {
      const { domain, events } = await start(temp, [faults.muteAfter(count)], {}, short)
      const error = await failureOf(domain.blockPull('vda'))
      const code = count === 0 ? 'MONITOR_BUSY' : 'MONITOR_TIMEOUT'
      expect(error, `mute after ${count}`).toMatchObject({ code, retryable: true })
      expect(events).toEqual([])
    })
    let isOver = false
    const all = Promise.all(refused).finally(() => {
      isOver = true
    })
    let asked = 0
    for (; !isOver; asked++) {
      expect(await healthy.domain.blockJobInfo('vda')).not.toBeNull()
      await sleep(1)
    }
    await all
    // From memory: were one of them to wait for a monitor, there would be one or two.
    expect(asked).toBeGreaterThan(9)
    await job.abort()
  })

  test('that answers block-stream too late has that job cancelled', async () => {
    const { peer, domain, events } = await start(
      temp,
      [faults.delayReplies(3000, 'block-stream')],
      {},
      { ...short, query: 30_000 },
    )
    expect(await failureOf(domain.blockPull('vda'))).toMatchObject({ code: 'MONITOR_TIMEOUT', virCode: 68 })
    await peer.received('job-cancel')
    expect(deeds(peer)).toEqual(['block-stream', 'job-cancel'])
    expect(peer.statusOf(jobIn(peer))).toBeUndefined()
    expect(events).toEqual([])
  })

  test('that says nothing delays neither the end of a connection nor that of a detached job', async () => {
    const { peer, connection, domain, events } = await start(temp)
    const job = await domain.blockPull('vda')
    peer.misbehave(faults.mute())
    await connection.close()
    expect(await endOf(job)).toBe('unknown CLOSED')
    expect(events).toEqual([])
    expect(peer.statusOf(jobIn(peer))).toBe('running')
  })

  test.each([
    ['greet', faults.mute(), (peer: QmpPeer) => peer.clientCount > 0],
    ['tell its devices', faults.neverAnswer('query-block'), (peer: QmpPeer) => timesAsked(peer, 'query-block') > 0],
  ])('that does not %s keeps no call waiting once its connection is closed', async (_what, silence, isStuck) => {
    const { peer, connection, domain } = await start(temp, [silence])
    const calls = [domain.blockPull('vda'), domain.blockJobInfo('vda'), domain.reap()]
    const failures = Promise.all(calls.map(failureOf))
    await until('the first call', () => isStuck(peer))
    await connection.close()
    expect((await failures).map(({ code }) => code)).toEqual(['CLOSED', 'CLOSED', 'CLOSED'])
  })

  test('that does not start a job keeps only that call waiting, and not once its connection is closed', async () => {
    const { peer, connection, domain } = await start(temp, [faults.neverAnswer('block-stream')])
    const pull = failureOf(domain.blockPull('vda'))
    await until('the pull', () => timesAsked(peer, 'block-stream') > 0)
    expect(await domain.blockJobInfo('vda')).not.toBeNull()
    await connection.close()
    expect(await pull).toMatchObject({ code: 'CLOSED' })
  })

  test('whose late answer starts a job for a closed connection has that job cancelled', async () => {
    const { peer, connection, domain } = await start(temp, [faults.delayReplies(100, 'block-stream')])
    const pull = failureOf(domain.blockPull('vda'))
    await peer.received('block-stream')
    await connection.close()
    expect(await pull).toMatchObject({ code: 'CLOSED' })
    await peer.received('job-cancel')
    expect(deeds(peer)).toEqual(['block-stream', 'job-cancel'])
  })

  test('that was silent for a while continues the job', async () => {
    const { peer, domain } = await start(temp, [], {}, short)
    const job = await domain.blockPull('vda')
    const speak = peer.misbehave(faults.mute())
    peer.complete(jobIn(peer))
    const before = timesAsked(peer, 'query-block-jobs')
    await until('a second look', () => timesAsked(peer, 'query-block-jobs') >= before + 2)
    expect(job.progress.state).toBe('running')
    speak()
    expect(await endOf(job)).toBe('completed')
  })
})
