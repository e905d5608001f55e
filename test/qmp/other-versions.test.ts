// SPDX-License-Identifier: Apache-2.0
//
// QEMUs of other years: what has all that a safe pull needs is used without the verbs that are about to go, what has
// not is refused with the reason before anything is begun.

import { afterAll, describe, expect, test } from 'vitest'
import { faults, versions } from '../qmp-peer/index.mjs'
import { QmpClient } from '../support/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import {
  deeds,
  diskBytes,
  endOf,
  failureOf,
  images,
  jobIn,
  open,
  quick,
  safeOrder,
  start,
  startPeer,
} from './live-domain.js'

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
      'job-dismiss',
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
      'job-dismiss',
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
    const disks = [
      { nodes: images.map((filename, index) => ({ nodeName: `n${index}`, filename, virtualSize: diskBytes })) },
    ]
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
