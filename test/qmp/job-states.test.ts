// SPDX-License-Identifier: Apache-2.0
//
// What blockJobInfo says of a job in a guest's QEMU that nobody here follows: whether it gets on, and what it waits
// for where it does not. Reading connections adopt no job, so it stays as the test has made it.

import { afterAll, expect, onTestFinished, test } from 'vitest'
import { connect, type Domain } from '../../lib/index.js'
import type { QmpPeer } from '../qmp-peer/index.mjs'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { diskBytes, endOf, images, jobIn, start, startPeer } from './live-domain.js'

const temp = new TempFolder('job-states')
afterAll(() => temp.remove())

async function reader(peer: QmpPeer): Promise<Domain> {
  const disks = [{ target: 'vda', source: images[0], format: 'qcow2' }]
  const domains = [{ name: 'vm0', qmp: peer.path, disks }]
  const connection = await connect({ domains, readOnly: true })
  onTestFinished(() => connection.close())
  return await connection.lookupByName('vm0')
}

/** What a client of its own does before anybody looks. */
async function byHand(peer: QmpPeer, ...commands: readonly [string, object][]): Promise<void> {
  const client = await QmpClient.connect(peer.path)
  for (const [command, options] of commands) await client.execute(command, options)
  await client.close()
}

const stream = ['block-stream', { 'job-id': 'vda', device: 'node0', 'auto-finalize': false }] as const

test('an orphaned job is running, then pending, and never shows its end', async () => {
  const first = await start(temp)
  const job = await first.domain.blockPull('vda')
  await first.connection.close()
  expect(await endOf(job)).toBe('unknown CLOSED')
  const domain = await reader(first.peer)
  expect(await domain.blockJobInfo('vda')).toMatchObject({ state: 'running', stoppedOn: null, foreign: false })
  first.peer.complete(jobIn(first.peer))
  expect(await domain.blockJobInfo('vda')).toMatchObject({
    ...{ state: 'pending', stoppedOn: null, foreign: false },
    ...{ cur: diskBytes - 1, end: diskBytes },
  })
})

test('a job of another program is reported as such, and as waiting for its end', async () => {
  const peer = await startPeer(temp)
  await byHand(peer, [...stream])
  const domain = await reader(peer)
  expect(await domain.blockJobInfo('vda')).toMatchObject({ state: 'running', foreign: true })
  peer.complete('vda')
  expect(await domain.blockJobInfo('vda')).toMatchObject({ state: 'pending', foreign: true })
})

test('a job that somebody has paused is paused', async () => {
  const peer = await startPeer(temp)
  await byHand(peer, [...stream], ['job-pause', { id: 'vda' }])
  expect(await (await reader(peer)).blockJobInfo('vda')).toMatchObject({ state: 'paused', stoppedOn: null })
})

test('a job that has stopped on an error is stopped, and says on which', async () => {
  const first = await start(temp)
  await first.domain.blockPull('vda', { onError: 'stop' })
  await first.connection.close()
  first.peer.fail(jobIn(first.peer), 'No space left on device')
  expect(await (await reader(first.peer)).blockJobInfo('vda')).toMatchObject({
    state: 'stopped',
    stoppedOn: 'NO_SPACE',
  })
})
