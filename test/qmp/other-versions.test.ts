// SPDX-License-Identifier: Apache-2.0
//
// QEMUs of other years: what has all that a safe pull needs is used without the verbs that are about to go, what has
// not is refused with the reason before anything is begun.

import { afterAll, describe, expect, test } from 'vitest'
import { faults, type QmpPeer, versions } from '../qmp-peer/index.mjs'
import type { Fault } from '../qmp-peer/types.js'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { deeds, endOf, failureOf, images, nodes, open, quick, safeOrder, start, startPeer } from './live-domain.js'

const temp = new TempFolder('other-versions')
afterAll(() => temp.remove())

/** No edges between its nodes: a client has to do with what `query-block` and `query-blockstats` show. */
function cannotTellItsGraph(): Fault[] {
  const queries = 'query-block query-blockstats query-block-jobs'
  const known = `${queries} block-stream job-finalize job-cancel human-monitor-command`
  const answer = known.split(' ').map((name) => ({ name }))
  return [faults.answer('query-commands', answer), faults.refuse('x-debug-query-block-graph', { desc: 'gone' })]
}

describe('QEMU', () => {
  test.each(['qemu42', 'qemu60', 'qemu72', 'qemu101', 'qemu101Strict'] as const)(
    '%s: a pull to a base completes',
    async (name) => {
      const { peer, domain } = await start(temp, [], { ...quick, version: versions[name] })
      const job = await domain.blockPull('vda', { base: images[2] })
      expect(await endOf(job)).toBe('completed')
      // The peer's files are not to be seen.
      expect(job.outcome).toMatchObject({ verified: false, released: [] })
      expect(deeds(peer)).toEqual(safeOrder)
      const asked = await peer.received('block-stream')
      expect(asked).toMatchObject({ arguments: { 'base-node': 'node2', 'backing-file': images[2] } })
    },
  )

  test('1.0, of 2011: a pull is refused with the reason, and nothing was started', async () => {
    const { peer, domain, events } = await start(temp, [], { ...quick, version: versions.qemu1 })
    const error = await failureOf(domain.blockPull('vda'))
    expect(error).toMatchObject({ code: 'UNSUPPORTED', virCode: 84, retryable: false })
    expect(error.message).toMatch(/QEMU 1\.0 .*'job-finalize' is missing.*not supported; QEMU 4\.2 can/)
    expect(deeds(peer)).toEqual([])
    expect(events).toEqual([])
  })

  test('one without graph queries still pulls whole chains', async () => {
    const { domain } = await start(temp, cannotTellItsGraph(), quick)
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
  })

  test('one without graph queries gets the base by the node name in its statistics', async () => {
    const { peer, domain } = await start(temp, cannotTellItsGraph(), quick)
    expect(await endOf(await domain.blockPull('vda', { base: images[2] }))).toBe('completed')
    const asked = await peer.received('block-stream')
    expect(asked).toMatchObject({ arguments: { 'base-node': 'node2', 'backing-file': images[2] } })
  })
})

/** A job of another program, which does not dismiss it. From then on a peer dies of a list of nodes, as QEMU does. */
async function conclude(peer: QmpPeer, device: string): Promise<void> {
  const client = await QmpClient.connect(peer.path)
  await client.execute('block-stream', { 'job-id': 'theirs', device, 'auto-dismiss': false })
  await client.status('theirs', 'concluded')
  await client.close()
}

describe('beside a concluded job of another program', () => {
  test('a pull of another disk completes without a list of nodes, and leaves it alone', async () => {
    const disks = ['vda', 'vdb'].map((device) => ({ device, nodes: nodes(`${device}-`) }))
    const peer = await startPeer(temp, [], { ...quick, disks })
    await conclude(peer, 'vdb')
    const { domain } = await open(peer)
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
    expect(await domain.reap()).toEqual([])
    expect(peer.statusOf('theirs')).toBe('concluded')
  })

  const daemon = { ...quick, version: versions.storageDaemon, disks: [{ nodes: nodes('n') }] }
  const hasListed = ({ log }: QmpPeer): boolean => log.some(({ name }) => name === 'query-named-block-nodes')

  test('a storage daemon, which has only nodes, is not asked for them, and the call is refused', async () => {
    const peer = await startPeer(temp, [], daemon)
    await conclude(peer, 'n0')
    const { domain } = await open(peer)
    const [pull, info] = await Promise.all([domain.blockPull('vda'), domain.blockJobInfo('vda')].map(failureOf))
    expect(pull).toMatchObject({ code: 'JOB_ACTIVE', retryable: true })
    expect(info).toMatchObject({ code: 'JOB_ACTIVE', message: expect.stringContaining('a job that has concluded') })
    expect(hasListed(peer)).toBe(false)
    expect(deeds(peer)).toEqual(['block-stream'])
    expect(peer.statusOf('theirs')).toBe('concluded')
  })

  test('a storage daemon is asked for its nodes once that job is dismissed', async () => {
    const peer = await startPeer(temp, [], daemon)
    await conclude(peer, 'n0')
    const { domain } = await open(peer)
    const info = domain.blockJobInfo('vda')
    await peer.received('query-block')
    expect(hasListed(peer)).toBe(false)
    peer.vanish('theirs')
    expect(await info).toBeNull()
    expect(hasListed(peer)).toBe(true)
  })
})
