// SPDX-License-Identifier: Apache-2.0
//
// Who asks for the jobs that were left waits for all of them, also for one that QEMU has forgotten already and whose
// end is not told yet.

import { afterAll, expect, test } from 'vitest'
import { faults } from '../qmp-peer/index.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { deeds, endOf, jobIn, open, safeOrder, start, until } from './live-domain.js'

const temp = new TempFolder('reaping')
afterAll(() => temp.remove())

test('reap waits for a job that QEMU no longer lists until its end is reported', async () => {
  const { peer, domain, events } = await start(temp)
  const job = await domain.blockPull('vda')
  // What is asked after the second flush, before the end is told, is answered late; only the first time.
  let isHeld = false
  peer.misbehave({
    outgoing(message, next) {
      const isIt = message.kind === 'reply' && message.command.name === 'query-block'
      if (isHeld || !isIt || deeds(peer).join() !== safeOrder.join()) return next()
      isHeld = true
      setTimeout(next, 500)
    },
  })
  peer.complete(jobIn(peer))
  await until('the look after the second flush', () => isHeld)
  const reaped = await domain.reap()
  expect(events).toHaveLength(1)
  expect(reaped).toMatchObject([{ target: 'vda', outcome: { state: 'completed' } }])
  expect(await endOf(job)).toBe('completed')
  expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
})

test('a job that one connection leaves pending is finished and reported by the next', async () => {
  const first = await start(temp, [faults.delayReplies(1)])
  const job = await first.domain.blockPull('vda')
  await first.connection.close()
  expect(await endOf(job)).toBe('unknown CLOSED')
  expect(first.events).toEqual([])
  first.peer.complete(jobIn(first.peer))
  const { domain, events } = await open(first.peer)
  // Connecting may have brought it to its end already; then there is nothing to reap.
  for (const reaped of await domain.reap()) {
    expect(reaped).toMatchObject({ target: 'vda', outcome: { state: 'completed', method: 'block-stream' } })
  }
  await until('its end', () => events.length > 0)
  expect(events).toMatchObject([{ status: 0 }])
  // The last flush is the reap's own, of every disk.
  expect(deeds(first.peer)).toEqual([...safeOrder, 'flush'])
})
