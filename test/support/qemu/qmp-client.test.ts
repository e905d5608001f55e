// SPDX-License-Identifier: Apache-2.0
//
// The test client: every wait ends, and says what it waited for.

import { afterAll, expect, onTestFinished, test } from 'vitest'
import { faults, QmpPeer } from '../../qmp-peer/index.mjs'
import type { Fault } from '../../qmp-peer/types.js'
import { TempFolder } from '../temp-folder.js'
import { QmpClient, QmpError } from './qmp-client.mjs'

const temp = new TempFolder('qmp-client')
let count = 0

afterAll(() => temp.remove())

async function start(...list: Fault[]) {
  const peer = await QmpPeer.start({ path: temp.file(`${count++}.qmp`), faults: list })
  onTestFinished(() => peer.stop())
  return peer
}

test('a missing socket, and one that does not greet, are errors', async () => {
  await expect(QmpClient.connect(temp.file('none.qmp'))).rejects.toMatchObject({ code: 'ENOENT' })
  const peer = await start(faults.mute())
  await expect(QmpClient.connect(peer.path, { timeoutMs: 20 })).rejects.toThrow('the greeting has not come in 20 ms')
  await peer.closed()
})

test('a refusal is an error with its class and its words', async () => {
  const client = await QmpClient.connect((await start()).path)
  onTestFinished(() => client.close())
  const refusal = client.execute('nope')
  await expect(refusal).rejects.toBeInstanceOf(QmpError)
  await expect(refusal).rejects.toMatchObject({ class: 'CommandNotFound', desc: 'The command nope has not been found' })
})

test('an event is found before and after it came, and returned once', async () => {
  const peer = await start()
  const client = await QmpClient.connect(peer.path)
  onTestFinished(() => client.close())
  const early = client.event('FIRST')
  peer.raise('SECOND', { n: 1 })
  peer.raise('SECOND', { n: 2 })
  peer.raise('FIRST')
  await early
  expect((await client.event('SECOND', ({ n }) => n === 2)).data).toEqual({ n: 2 })
  expect((await client.event('SECOND')).data).toEqual({ n: 1 })
  await expect(client.event('SECOND', undefined, { timeoutMs: 20 })).rejects.toThrow('event SECOND has not come')
})

test('the end of the connection refuses pending and later requests', async () => {
  const peer = await start(faults.neverAnswer('query-jobs'))
  const client = await QmpClient.connect(peer.path)
  const reply = client.execute('query-jobs')
  await peer.received('query-jobs')
  peer.hangUp()
  await expect(reply).rejects.toThrow('the connection was closed before the reply to query-jobs came')
  await expect(client.event('STOP')).rejects.toThrow('the connection is closed; event STOP cannot come')
})
