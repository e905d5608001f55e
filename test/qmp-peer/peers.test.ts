// SPDX-License-Identifier: Apache-2.0
//
// A process of many peers: they greet, they pull at the pace asked for, some of them say nothing, and none of
// them outlives the test.

import { existsSync } from 'node:fs'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { PeerProcess } from './index.mjs'
import type { PeerProcessOptions } from './types.js'

const temp = new TempFolder('peers')

afterAll(() => temp.remove())

async function start(options: Omit<PeerProcessOptions, 'folder'>): Promise<PeerProcess> {
  const peers = await PeerProcess.start({ folder: temp.folder(), ...options })
  onTestFinished(() => peers.kill())
  return peers
}

/** Pulls on one of them from connect to dismissal; gives how long that took. */
async function pull(path: string): Promise<number> {
  const begun = performance.now()
  const client = await QmpClient.connect(path)
  onTestFinished(() => client.close())
  const options = { 'job-id': 'j', device: 'vda', 'auto-finalize': false, 'auto-dismiss': false }
  await client.execute('block-stream', options)
  await client.event('BLOCK_JOB_PENDING')
  await client.execute('job-finalize', { id: 'j' })
  await client.execute('job-dismiss', { id: 'j' })
  return performance.now() - begun
}

test('a thousand peers pull at once, each in the requested time', async () => {
  const peers = await start({ count: 1000, jobTimeMs: 500 })
  const times = await Promise.all(peers.paths.map(pull))
  expect(Math.min(...times)).toBeGreaterThan(400)
})

test('the requested fraction is mute', async () => {
  const peers = await start({ count: 20, muteFraction: 0.25 })
  const greetings = await Promise.all(
    peers.paths.map(async (path) => {
      const client = await QmpClient.open(path)
      onTestFinished(() => client.close())
      return client.greeting({ timeoutMs: 3000 }).catch(() => undefined)
    }),
  )
  expect(greetings.filter((greeting) => greeting === undefined)).toHaveLength(5)
})

test('a stop removes the sockets, and a kill leaves them', async () => {
  const [stopped, killed] = [await start({ count: 2 }), await start({ count: 2 })]
  await stopped.stop()
  await killed.kill()
  expect(stopped.paths.filter((path) => existsSync(path))).toEqual([])
  expect(killed.paths.filter((path) => existsSync(path))).toHaveLength(2)
})
