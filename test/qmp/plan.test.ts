// SPDX-License-Identifier: Apache-2.0
//
// A plan of a running guest's disk against the scripted peer: it only asks, and what it says would refuse a pull is
// what the pull is then refused with. No image file exists, so sizes are estimates; test/qemu/plan.test.ts counts.

import { afterAll, describe, expect, test } from 'vitest'
import { connect, type Domain, type PlanOptions } from '../../lib/index.js'
import { faults, type QmpPeer, versions } from '../qmp-peer/index.mjs'
import type { NodeDescription, PeerOptions } from '../qmp-peer/types.js'
import { expectSameRefusal } from '../support/images/same-refusal.js'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { diskBytes, endOf, failureOf, images, jobIn, nodes, open, start, startPeer } from './live-domain.js'

const temp = new TempFolder('plan')
afterAll(() => temp.remove())

/** What the peer says that each image takes on its disk. */
const onDisk = 200_704

/** The commands that have come since `from`. */
function commands(peer: QmpPeer, from = 0): string[] {
  return peer.log.slice(from).flatMap((entry) => (entry.kind === 'command' ? [entry.name] : []))
}

const isQuestion = (command: string) => /^(query-|qmp_capabilities$|x-debug-query-block-graph$)/.test(command)

/** A guest whose images differ from the usual ones in this. */
const disksWith = (...changes: readonly Partial<NodeDescription>[]): Partial<PeerOptions> => ({
  disks: [{ device: 'vda', nodes: nodes('node').map((node, at) => ({ ...node, ...changes[at] })) }],
})

describe('a plan', () => {
  test('only sends queries, even on a read-only connection, and a later pull works', async () => {
    const { peer, domain } = await start(temp)
    const before = peer.log.length
    const reader = await connect({
      domains: [{ name: 'vm0', qmp: peer.path, disks: [{ target: 'vda', source: images[0], format: 'qcow2' }] }],
      readOnly: true,
    })
    for (const base of [null, images[2]]) {
      await domain.plan('vda', { base })
      await (await reader.lookupByName('vm0')).plan('vda', { base })
    }
    await reader.close()
    expect(commands(peer, before)).toContain('query-block')
    expect(commands(peer, before).filter((name) => !isQuestion(name))).toEqual([])
    expect(peer.log.filter(({ kind }) => kind === 'event')).toEqual([])
    const job = await domain.blockPull('vda')
    peer.complete(jobIn(peer))
    expect(await endOf(job)).toBe('completed')
  })

  test('that reads the data is refused, since QEMU does the reading', async () => {
    const { domain } = await start(temp)
    await expect(domain.plan('vda', { readData: true })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining(
        "domain 'vm0' is running and its QEMU reads the data that a pull of disk 'vda' moves",
      ),
    })
  })

  test('reports what QEMU would be asked for, and estimates if it cannot see the files', async () => {
    const { domain } = await start(temp)
    const expected = {
      virtualSize: diskBytes,
      bytesFree: null,
      refusals: [],
      method: 'block-stream',
      trailingData: null,
    }
    expect(await domain.plan('vda', { bytesPerSecond: onDisk })).toEqual({
      ...expected,
      bytesToMove: 2 * onDisk,
      bytesToAllocate: 2 * onDisk,
      seconds: 2,
      released: [images[1], images[2]],
      releasedBytes: null,
      base: null,
    })
    expect(await domain.plan('vda', { base: images[2], bigint: true })).toEqual({
      ...expected,
      virtualSize: BigInt(diskBytes),
      bytesToMove: BigInt(onDisk),
      bytesToAllocate: BigInt(onDisk),
      seconds: null,
      released: [images[1]],
      releasedBytes: null,
      base: images[2],
    })
  })

  test('says that nothing drops out', async () => {
    const { domain } = await start(temp)
    const nothing = { bytesToMove: 0, method: 'none', released: [], refusals: [] }
    expect(await domain.plan('vda', { base: images[1] })).toMatchObject({ ...nothing, base: images[1] })
  })

  test('of a storage daemon’s node is made as well', async () => {
    const disks = [{ nodes: nodes('node') }]
    const { peer, domain } = await start(temp, [], { version: versions.storageDaemon, disks })
    expect(await domain.plan('vda')).toMatchObject({ refusals: [], released: [images[1], images[2]] })
    expect(commands(peer).filter((name) => !isQuestion(name))).toEqual([])
  })
})

/** What stands in the way, and the guest where it does. */
const obstacles: readonly [string, Partial<PeerOptions>, PlanOptions, string][] = [
  ['internal snapshots', disksWith({ snapshots: [{ id: '1', name: 's' }] }), {}, 'FEATURE_UNSUPPORTED'],
  ['extended L2 entries', disksWith({ extendedL2: true }), {}, 'FEATURE_UNSUPPORTED'],
  ['a short layer', disksWith({}, { virtualSize: diskBytes / 2 }), { base: images[2] }, 'UNSUPPORTED'],
  ['a base without a format', disksWith({}, {}, { format: 'file' }), { base: images[2] }, 'UNSUPPORTED'],
]

/** Wants the first refusal of the plan, or what the plan fails with, to be what the pull is refused with. */
async function expectSame(domain: Domain, options: PlanOptions, code: string, disk = 'vda'): Promise<void> {
  const error = await expectSameRefusal(
    () => domain.plan(disk, options),
    () => domain.blockPull(disk, options),
  )
  expect(error.code).toBe(code)
}

describe('reports what would refuse a pull:', () => {
  test.each(obstacles)('%s', async (_, peerOptions, options, code) => {
    const { domain } = await start(temp, [], peerOptions)
    await expectSame(domain, options, code)
    expect((await domain.plan('vda', options)).released).toContain(images[1])
  })

  test('a QEMU that cannot hold a job, or reports nothing', async () => {
    const version = { ...versions.qemu42, major: 2, minor: 12 }
    const { domain } = await start(temp, [], { version })
    await expectSame(domain, {}, 'UNSUPPORTED')
    const oldest = await start(temp, [], { version: versions.qemu1 })
    const { message } = await failureOf(oldest.domain.blockPull('vda'))
    expect(await failureOf(oldest.domain.plan('vda'))).toMatchObject({ code: 'UNSUPPORTED', message })
  })

  test('another program’s job, in the words of QEMU’s refusal', async () => {
    const peer = await startPeer(temp)
    const theirs = await QmpClient.connect(peer.path)
    // The peer does not tell what jobs work on, as old QEMUs do not; there a job is named after its disk.
    await theirs.execute('block-stream', { 'job-id': 'vda', device: 'node0' })
    await theirs.close()
    const { domain } = await open(peer)
    await expectSame(domain, {}, 'JOB_ACTIVE')
    const [refusal] = (await domain.plan('vda')).refusals
    expect(refusal?.hint).toMatch(/^job 'vda' \(stream\) works on '\/vms\/top\.qcow2'.*; wait for its end$/)
    const { hint } = await failureOf(domain.blockPull('vda'))
    expect(hint).toMatch(/Node '.*' is busy: block device is in use by block job: stream$/)
  })

  test.each([
    ['a base that is not there', 'vda', { base: '/vms/other.qcow2' }],
    ['a base of another disk', 'vda', { base: 'vdz[1]' }],
    ['a base without a format', 'vda', { base: images[2] }],
  ])('the job that the disk has, before %s', async (_, disk, options) => {
    const { peer, domain } = await start(temp, [], disksWith({}, {}, { format: 'file' }))
    const job = await domain.blockPull(disk)
    await expectSame(domain, options, 'JOB_ACTIVE')
    peer.complete(jobIn(peer))
    expect(await endOf(job)).toBe('completed')
  })

  test('the job that the disk has, whoever tracks it', async () => {
    const { peer, domain } = await start(temp)
    const job = await domain.blockPull('vda')
    for (const asked of [domain, (await open(peer)).domain]) {
      const { refusals, bytesToMove } = await asked.plan('vda')
      expect(refusals).toMatchObject([{ code: 'JOB_ACTIVE' }])
      expect(bytesToMove).toBeGreaterThan(0)
      expect(await failureOf(asked.blockPull('vda'))).toMatchObject({ code: 'JOB_ACTIVE' })
    }
    peer.complete(jobIn(peer))
    expect(await endOf(job)).toBe('completed')
    expect((await domain.plan('vda')).refusals).toEqual([])
  })
})

describe('a plan fails as the pull does', () => {
  test.each([
    ['that has no such disk', 'vdz', {}, 'NO_DISK'],
    ['that has no such disk, and a base of another one', 'vdz', { base: 'vda[1]' }, 'NO_DISK'],
    ['whose disk has no such base', 'vda', { base: '/vms/other.qcow2' }, 'NO_BASE'],
    ['whose disk has fewer layers', 'vda', { base: 'vda[3]' }, 'NO_BASE'],
    ['whose disk is not that of the base', 'vda', { base: 'vdz[1]' }, 'NO_BASE'],
  ])('of a guest %s', async (_, disk, options, code) => {
    const { domain } = await start(temp)
    await expectSame(domain, options, code, disk)
  })

  test('of a QEMU that is silent, or gives a malformed answer', async () => {
    const silent = await start(temp, [], {}, { query: 50 })
    silent.peer.misbehave(faults.neverAnswer('query-block'))
    expect(await failureOf(silent.domain.plan('vda'))).toMatchObject({ code: 'MONITOR_TIMEOUT' })
    const { peer, domain } = await start(temp)
    peer.misbehave(faults.refuse('query-block-jobs', { desc: 'not today' }))
    expect(await failureOf(domain.plan('vda'))).toMatchObject({ code: 'QEMU_ERROR' })
  })

  test('of a connection that is closed before the answer', async () => {
    const { peer, connection, domain } = await start(temp)
    peer.misbehave(faults.neverAnswer('query-block'))
    const asked = failureOf(domain.plan('vda'))
    await peer.received('query-block')
    await connection.close()
    expect(await asked).toMatchObject({ code: 'CLOSED' })
  })
})
