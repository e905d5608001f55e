// SPDX-License-Identifier: Apache-2.0
//
// QEMUs of other years: what has all that a safe pull needs is used without the verbs that are about to go, what has
// not is refused with the reason before anything is begun.

import { afterAll, describe, expect, test } from 'vitest'
import { faults, type QmpPeer, versions } from '../qmp-peer/index.mjs'
import { QmpClient } from '../support/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { deeds, diskBytes, endOf, failureOf, images, open, quick, safeOrder, start, startPeer } from './live-domain.js'

const temp = new TempFolder('other-versions')
afterAll(() => temp.remove())

describe('versions', () => {
  test.each(['qemu42', 'qemu60', 'qemu72', 'qemu101', 'qemu101Strict'] as const)(
    '%s: a pull to a base completes',
    async (name) => {
      const { peer, domain } = await start(temp, [], { ...quick, version: versions[name] })
      const job = await domain.blockPull('vda', { base: images[2] })
      expect(await endOf(job)).toBe('completed')
      expect(job.outcome?.released).toEqual([images[1]])
      expect(deeds(peer)).toEqual(safeOrder)
      const asked = await peer.received('block-stream')
      expect(asked).toMatchObject({ arguments: { 'base-node': 'node2', 'backing-file': images[2] } })
    },
  )

  test('2011: a pull is refused with the reason, and nothing was begun', async () => {
    const { peer, domain, events } = await start(temp, [], { ...quick, version: versions.qemu1 })
    const error = await failureOf(domain.blockPull('vda'))
    expect(error).toMatchObject({ code: 'UNSUPPORTED', virCode: 84, retryable: false })
    expect(error.message).toMatch(/QEMU 1\.0 .*'job-finalize' is missing.*not supported; QEMU 4\.2 can/)
    expect(deeds(peer)).toEqual([])
    expect(events).toEqual([])
  })

  test('a QEMU that cannot tell its graph still pulls whole chains', async () => {
    const hide = {
      received: ({ name }: { name: string }) =>
        name === 'x-debug-query-block-graph' ? { error: { class: 'CommandNotFound', desc: 'gone' } } : undefined,
    }
    const commands = [
      'query-block',
      'query-block-jobs',
      'block-stream',
      'job-finalize',
      'job-cancel',
      'human-monitor-command',
    ]
    const { domain } = await start(
      temp,
      [
        hide,
        faults.answer(
          'query-commands',
          commands.map((name) => ({ name })),
        ),
      ],
      quick,
    )
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
  })

  test('a QEMU that cannot tell its graph refuses a base, which it could not name', async () => {
    const commands = [
      'query-block',
      'query-block-jobs',
      'block-stream',
      'job-finalize',
      'job-cancel',
      'human-monitor-command',
    ]
    const { peer, domain } = await start(
      temp,
      [
        faults.answer(
          'query-commands',
          commands.map((name) => ({ name })),
        ),
      ],
      quick,
    )
    const error = await failureOf(domain.blockPull('vda', { base: images[2] }))
    expect(error).toMatchObject({ code: 'UNSUPPORTED' })
    expect(deeds(peer)).toEqual([])
  })

  test('what another program keeps concluded on another disk is left alone, and no nodes are listed', async () => {
    const disks = ['vda', 'vdb'].map((device) => ({
      device,
      nodes: images.map((filename, index) => ({ nodeName: `${device}-${index}`, filename, virtualSize: diskBytes })),
    }))
    const peer = await startPeer(temp, [], { ...quick, disks })
    await conclude(peer, 'vdb')
    // A peer dies of a list of nodes now, as QEMU does.
    const { domain } = await open(peer)
    expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
    expect(await domain.reap()).toEqual([])
    expect(peer.statusOf('theirs')).toBe('concluded')
  })
})

/** A job of another program, which does not dismiss it. */
async function conclude(peer: QmpPeer, device: string): Promise<void> {
  const client = await QmpClient.connect(peer.path)
  await client.execute('block-stream', { 'job-id': 'theirs', device, 'auto-dismiss': false })
  await client.status('theirs', 'concluded')
  await client.close()
}

describe('a storage daemon, which has only nodes, where another program’s job has concluded', () => {
  const nodes = images.map((filename, index) => ({ nodeName: `n${index}`, filename, virtualSize: diskBytes }))
  const daemon = { ...quick, version: versions.storageDaemon, disks: [{ nodes }] }
  const hasListed = ({ log }: QmpPeer): boolean => log.some(({ name }) => name === 'query-named-block-nodes')

  test('is not asked for them, and the call is refused', async () => {
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

  test('is asked for them once it is dismissed', async () => {
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
