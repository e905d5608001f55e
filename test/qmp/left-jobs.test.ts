// SPDX-License-Identifier: Apache-2.0
//
// Jobs in a guest's QEMU across connections: what is asked of one before its connection lets go is done, and what a
// new connection finishes before anybody asks is told all the same. Against the scripted peer, which can be slow.

import { afterAll, expect, test } from 'vitest'
import { faults } from '../qmp-peer/index.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { deeds, endOf, images, jobIn, open, start, startAtFlush, timesAsked, until } from './live-domain.js'

const temp = new TempFolder('left-jobs')
afterAll(() => temp.remove())

test('an aborted job is cancelled even if its connection is closed at once', async () => {
  const { peer, connection, domain } = await start(temp)
  const job = await domain.blockPull('vda')
  peer.misbehave(faults.delayReplies(200, 'query-block-jobs'))
  await domain.blockJobAbort('vda', { async: true })
  await connection.close()
  expect(await endOf(job)).toBe('cancelled CANCELLED')
  expect(deeds(peer)).toEqual(['block-stream', 'job-cancel'])
})

test('a new limit is in force even if its connection is closed at once', async () => {
  const { peer, connection, domain } = await start(temp)
  const job = await domain.blockPull('vda')
  peer.misbehave(faults.delayReplies(200, 'block-job-set-speed'))
  job.setBandwidth('1MiB/s')
  const begun = performance.now()
  await connection.close()
  expect(performance.now() - begun).toBeGreaterThan(100)
  await expect(job.done).rejects.toMatchObject({ code: 'CLOSED' })
  expect(deeds(peer)).toEqual(['block-stream', 'block-job-set-speed'])
})

test('a close after an abort that came too late does not wait for a silent QEMU', async () => {
  const { peer, connection, domain } = await start(temp)
  const job = await domain.blockPull('vda')
  peer.misbehave({
    outgoing(message, next) {
      const isFlush = message.kind === 'reply' && message.command.name === 'blockdev-reopen'
      if (!isFlush || timesAsked(peer, 'job-finalize') === 0) next()
    },
  })
  peer.complete(jobIn(peer))
  await until('the last flush', () => timesAsked(peer, 'blockdev-reopen') === 2)
  await domain.blockJobAbort('vda', { async: true })
  await connection.close()
  expect(await endOf(job)).toBe('unknown CLOSED')
})

test('resuming a finished copy does nothing', async () => {
  const { domain, job, flush } = await startAtFlush(temp)
  await domain.blockJobResume('vda')
  flush.release()
  expect(await endOf(job)).toBe('completed')
})

test('the next reap reports a job that connect has finished, once', async () => {
  const first = await start(temp)
  const job = await first.domain.blockPull('vda')
  await first.connection.close()
  await expect(job.done).rejects.toMatchObject({ code: 'CLOSED' })
  const { domain, events } = await open(first.peer)
  first.peer.complete(jobIn(first.peer))
  await until('its end', () => events.length > 0)
  expect(await domain.reap()).toMatchObject([{ target: 'vda', path: images[0], outcome: { state: 'completed' } }])
  expect(await domain.reap()).toEqual([])
})
