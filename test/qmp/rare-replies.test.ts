// SPDX-License-Identifier: Apache-2.0
//
// What a real QEMU does rarely, and what its clients get wrong then: replies that are late, out of order or in
// pieces, events before the reply to what caused them, jobs that are gone, monitors that are taken or that fall
// silent, bytes that are no message.

import { afterAll, describe, expect, test } from 'vitest'
import { faults, versions } from '../qmp-peer/index.mjs'
import type { Fault } from '../qmp-peer/types.js'
import { QmpClient } from '../support/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { deeds, diskBytes, endOf, failureOf, images, jobIn, open, quick, safeOrder, start, startPeer, until } from './live-domain.js'

const temp = new TempFolder('rare-replies')
afterAll(() => temp.remove())

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
console.log(`SEED=${seed}`)

/** Each message is written this much after the one before, by chance from 0 to `most` ms; their order is kept. */
function stutter(most: number): Fault {
  let state = seed
  let last: Promise<unknown> = Promise.resolve()
  return {
    outgoing(_message, next) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      const milliseconds = (state >>> 16) % (most + 1)
      last = last.then(() => new Promise((resolve) => setTimeout(resolve, milliseconds))).then(next)
    },
  }
}

describe('a pull completes, in the safe order and told once, though', () => {
  const always: readonly [string, () => Fault[]][] = [
    ['nothing is wrong', () => []],
    ['replies are late', () => [faults.delayReplies(20)]],
    ['every message is late', () => [stutter(10)]],
    ['messages come one byte at a time', () => [faults.fragment(1)]],
    ['messages come in random pieces', () => [faults.fragmentAtRandom(seed, 40)]],
    ['messages are pretty and in pieces', () => [faults.pretty(), faults.fragmentAtRandom(seed, 9)]],
    ['the job is pending before its start is answered', () => [faults.replyAfterEvent('block-stream', 'BLOCK_JOB_PENDING')]],
    ['it has concluded before the finalize is answered', () => [faults.replyAfterEvent('job-finalize', 'JOB_STATUS_CHANGE', 'concluded')]],
    ['no event ever comes', () => [faults.loseEvents()]],
    ['a reply has bytes before it that are no message', () => [faults.garbageBefore('}~[', 'job-finalize')]],
    ['bytes that are no JSON come in brackets', () => [faults.garbageBefore('{"return": nonsense}', 'query-block-jobs')]],
    ['an error without an id comes', () => [faults.garbageBefore('{"error": {"class": "GenericError", "desc": "?"}}', 'human-monitor-command')]],
    ['an object that is no message comes', () => [faults.garbageBefore('{"hello": 1}', 'job-dismiss')]],
    ['an answer to nothing comes', () => [faults.garbageBefore('{"return": {}, "id": 4711}', 'human-monitor-command')]],
    ['the finalize is refused once', () => [faults.refuse('job-finalize', { desc: 'try later' }, 1)]],
    ['the look at the jobs is refused once', () => [once(faults.refuse('query-block-jobs', { desc: 'try later' }, 1), 'block-stream')]],
    ['the dismissal is refused', () => [faults.refuse('job-dismiss', { desc: 'no' })]],
  ]

  /** A fault that only begins once that command has come. */
  function once(fault: Fault, command: string): Fault {
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
    expect(job.outcome).toMatchObject({ method: 'block-stream', released: images.slice(1), bytesMoved: diskBytes })
    expect(deeds(peer).join(' ')).toMatch(/^block-stream flush (flush |job-finalize )*job-finalize flush (flush )?(job-dismiss ?)+$/)
    expect(events).toMatchObject([{ status: 0, target: 'vda', error: null }])
  })

  test('a disk without a backing file has no work, and its end comes before the reply', async () => {
    const disks = [{ device: 'vda', nodes: [{ nodeName: 'only', filename: images[0], virtualSize: diskBytes }] }]
    const reply = faults.replyAfterEvent('block-stream', 'BLOCK_JOB_PENDING')
    const { peer, domain, events } = await start(temp, [reply], { disks })
    const job = await domain.blockPull('vda')
    expect(await endOf(job)).toBe('completed')
    expect(job.progress).toMatchObject({ cur: diskBytes, end: diskBytes })
    expect(deeds(peer)).toEqual(safeOrder)
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

  test('another program works on another disk beside it, and its job is left alone', async () => {
    const other = { device: 'vdb', nodes: ['t2', 'b2'].map((nodeName) => ({ nodeName, filename: `/vms/${nodeName}`, virtualSize: diskBytes })) }
    const mine = { device: 'vda', nodes: images.map((filename, index) => ({ nodeName: `n${index}`, filename, virtualSize: diskBytes })) }
    const peer = await startPeer(temp, [], { ...quick, disks: [mine, other] })
    const client = await QmpClient.connect(peer.path)
    await client.execute('block-stream', { 'job-id': 'theirs', device: 'vdb', 'auto-finalize': false, 'auto-dismiss': false })
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
    const { peer, domain } = await start(temp, [faults.delayReplies(50, 'human-monitor-command')])
    const job = await domain.blockPull('vda')
    peer.complete(jobIn(peer))
    await peer.received('human-monitor-command')
    peer.vanish(jobIn(peer))
    expect(await endOf(job)).toBe('unknown JOB_VANISHED')
    expect(deeds(peer)).not.toContain('job-finalize')
  })

  test('was ended by another program is unknown', async () => {
    const { peer, domain } = await start(temp)
    const job = await domain.blockPull('vda')
    peer.hangUp()
    const client = await QmpClient.connect(peer.path)
    const id = jobIn(peer)
    await client.execute('job-cancel', { id })
    await client.execute('job-dismiss', { id })
    await client.close()
    expect(await endOf(job)).toBe('unknown JOB_VANISHED')
  })

  test('another program cancels has failed, in QEMU’s words', async () => {
    const { peer, domain } = await start(temp)
    const job = await domain.blockPull('vda')
    peer.hangUp()
    const client = await QmpClient.connect(peer.path)
    await client.execute('job-cancel', { id: jobIn(peer) })
    await client.close()
    expect(await endOf(job)).toBe('failed JOB_FAILED')
    expect(job.outcome?.error?.message).toContain('Operation canceled')
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
    expect(deeds(peer)).toEqual(['block-stream', 'job-dismiss'])
    expect(peer.statusOf(jobIn(peer))).toBeUndefined()
    expect(events).toMatchObject([{ status: 1, error: { code } }])
  })

  test('fails when it is finalized has failed', async () => {
    const { peer, domain } = await start(temp, [faults.delayReplies(20, 'human-monitor-command')])
    const job = await domain.blockPull('vda')
    peer.complete(jobIn(peer))
    peer.fail(jobIn(peer), 'No space left on device')
    expect(await endOf(job)).toBe('failed NO_SPACE')
    expect(deeds(peer)).toEqual(['block-stream', 'flush', 'job-finalize', 'job-dismiss'])
  })
})

describe('a flush that QEMU refuses', () => {
  const refusal = 'Error: Input/output error\r\n'

  test('at pending ends the pull before the header changes', async () => {
    const { peer, domain, events } = await start(temp, [faults.answer('human-monitor-command', refusal)], quick)
    const job = await domain.blockPull('vda')
    expect(await endOf(job)).toBe('failed IO')
    expect(job.outcome).toMatchObject({ released: [], error: { message: expect.stringContaining('Input/output error') } })
    expect(deeds(peer)).toEqual(['block-stream', 'flush', 'job-cancel', 'job-dismiss'])
    expect(peer.statusOf(jobIn(peer))).toBeUndefined()
    expect(events).toMatchObject([{ status: 1, error: { code: 'IO' } }])
  })

  test('after the finalize makes it failed, and no file is released', async () => {
    const { peer, domain } = await start(temp, [], quick)
    peer.misbehave({
      received: ({ name }) =>
        name === 'human-monitor-command' && deeds(peer).includes('job-finalize') ? { return: refusal } : undefined,
    })
    const job = await domain.blockPull('vda')
    expect(await endOf(job)).toBe('failed IO')
    expect(job.outcome).toMatchObject({ released: [], error: { message: expect.stringContaining('keep its backing files') } })
    expect(deeds(peer)).toEqual(safeOrder)
    expect(peer.statusOf(jobIn(peer))).toBeUndefined()
  })

  test('with an error of QMP is the same', async () => {
    const { peer, domain } = await start(temp, [faults.refuse('human-monitor-command', { desc: 'not now' })], quick)
    const job = await domain.blockPull('vda')
    await endOf(job)
    expect(job.outcome).toMatchObject({ state: 'failed', error: { message: expect.stringContaining('not now') } })
    expect(deeds(peer)).toEqual(['block-stream', 'flush', 'job-cancel', 'job-dismiss'])
  })
})

describe('versions', () => {
  test.each(['qemu42', 'qemu60', 'qemu72', 'qemu101', 'qemu101Strict'] as const)('%s: a pull to a base completes', async (name) => {
    const { peer, domain } = await start(temp, [], { ...quick, version: versions[name] })
    const job = await domain.blockPull('vda', { base: images[2] })
    expect(await endOf(job)).toBe('completed')
    expect(job.outcome?.released).toEqual([images[1]])
    expect(deeds(peer)).toEqual(safeOrder)
    const asked = await peer.received('block-stream')
    expect(asked).toMatchObject({ arguments: { 'base-node': 'node2', 'backing-file': images[2] } })
  })

  test('2011: a pull is refused with the reason, and nothing was begun', async () => {
    const { peer, domain, events } = await start(temp, [], { ...quick, version: versions.qemu1 })
    const error = await failureOf(domain.blockPull('vda'))
    expect(error).toMatchObject({ code: 'UNSUPPORTED', virCode: 84, retryable: false })
    expect(error.message).toMatch(/QEMU 1\.0 .*'job-finalize' is missing.*not supported; QEMU 4\.2 can/)
    expect(deeds(peer)).toEqual([])
    expect(events).toEqual([])
  })

  test('a QEMU that cannot tell its graph still pulls whole chains', async () => {
    const hide = { received: ({ name }: { name: string }) => (name === 'x-debug-query-block-graph' ? { error: { class: 'CommandNotFound', desc: 'gone' } } : undefined) }
    const commands = ['query-block', 'query-block-jobs', 'block-stream', 'job-finalize', 'job-dismiss', 'job-cancel', 'human-monitor-command']
    const { domain } = await start(temp, [hide, faults.answer('query-commands', commands.map((name) => ({ name })))], quick)
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
  })

  test('a QEMU that cannot tell its graph refuses a base, which it could not name', async () => {
    const commands = ['query-block', 'query-block-jobs', 'block-stream', 'job-finalize', 'job-dismiss', 'job-cancel', 'human-monitor-command']
    const { peer, domain } = await start(temp, [faults.answer('query-commands', commands.map((name) => ({ name })))], quick)
    const error = await failureOf(domain.blockPull('vda', { base: images[2] }))
    expect(error).toMatchObject({ code: 'UNSUPPORTED' })
    expect(deeds(peer)).toEqual([])
  })

  test('a job that stays concluded is met, and its nodes are never listed beside it', async () => {
    const { peer, domain } = await start(temp, [], quick)
    const behave = peer.misbehave(faults.refuse('job-dismiss', { desc: 'not now' }))
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
    expect(peer.statusOf(jobIn(peer))).toBe('concluded')
    // A peer dies of a list of nodes now, as QEMU does.
    expect(await domain.blockJobInfo('vda')).toMatchObject({ type: 1 })
    behave()
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
    expect(peer.statusOf(jobIn(peer))).toBeUndefined()
  })

  test('a storage daemon, which has only nodes, is asked for them once nothing is left concluded', async () => {
    const disks = [{ nodes: images.map((filename, index) => ({ nodeName: `n${index}`, filename, virtualSize: diskBytes })) }]
    const peer = await startPeer(temp, [], { ...quick, version: versions.storageDaemon, disks })
    const left = { 'job-id': 'blockpull-n0-00000000', device: 'n0', 'auto-dismiss': false }
    const client = await QmpClient.connect(peer.path)
    await client.execute('block-stream', left)
    await client.status(left['job-id'], 'concluded')
    await client.close()
    const { domain } = await open(peer)
    expect(await domain.blockJobInfo('vda')).toBeNull()
    const names = peer.log.map(({ name }) => name)
    expect(names.indexOf('job-dismiss')).toBeLessThan(names.indexOf('query-named-block-nodes'))
    expect(await domain.reap()).toEqual([])
  })
})

describe('a monitor', () => {
  const short = { connect: 60, query: 60, change: 60 }

  test('that greets nobody is busy, which is worth another try, and works once the other client has left', async () => {
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
    const waiting = QmpClient.connect(peer.path)
    peer.hangUp()
    const other = await waiting
    peer.complete(jobIn(peer))
    expect((await other.execute('query-jobs'))[0]).toMatchObject({ status: 'pending' })
    await other.close()
    expect(await endOf(job)).toBe('completed')
    expect(deeds(peer)).toEqual(safeOrder)
  })

  test('that falls silent after any number of commands times out, and delays nobody else', async () => {
    const healthy = await start(temp, [], { progressPerTick: 1024 })
    const job = await healthy.domain.blockPull('vda')
    for (let count = 0; count <= 8; count++) {
      const { domain, events } = await start(temp, [faults.muteAfter(count)], {}, short)
      const pull = failureOf(domain.blockPull('vda'))
      for (let asked = 0; asked < 10; asked++) {
        const begun = performance.now()
        expect(await healthy.domain.blockJobInfo('vda')).not.toBeNull()
        expect(performance.now() - begun).toBeLessThan(50)
      }
      const code = count === 0 ? 'MONITOR_BUSY' : 'MONITOR_TIMEOUT'
      expect(await pull, `mute after ${count}`).toMatchObject({ code, retryable: true })
      expect(events).toEqual([])
    }
    await job.abort()
  })

  test('that answers block-stream too late has that job taken back', async () => {
    const { peer, domain, events } = await start(temp, [faults.delayReplies(150, 'block-stream')], {}, { ...short, query: 1000 })
    expect(await failureOf(domain.blockPull('vda'))).toMatchObject({ code: 'MONITOR_TIMEOUT', virCode: 68 })
    await peer.received('job-dismiss')
    expect(deeds(peer)).toEqual(['block-stream', 'job-cancel', 'job-dismiss'])
    expect(peer.statusOf(jobIn(peer))).toBeUndefined()
    expect(events).toEqual([])
  })

  test('that says nothing keeps neither the end of a connection nor that of a job let go of', async () => {
    const { peer, connection, domain, events } = await start(temp)
    const job = await domain.blockPull('vda')
    peer.misbehave(faults.mute())
    await connection.close()
    expect(await endOf(job)).toBe('unknown CLOSED')
    expect(events).toEqual([])
    expect(peer.statusOf(jobIn(peer))).toBe('running')
  })

  test('that was silent for a while goes on with the job', async () => {
    const { peer, domain } = await start(temp, [], {}, short)
    const job = await domain.blockPull('vda')
    const speak = peer.misbehave(faults.mute())
    peer.complete(jobIn(peer))
    await peer.received('query-block-jobs')
    await until('silence', () => job.progress.state === 'running')
    speak()
    expect(await endOf(job)).toBe('completed')
  })
})
