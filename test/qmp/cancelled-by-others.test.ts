// SPDX-License-Identifier: Apache-2.0
//
// A pull of ours that another client of QEMU cancels: nothing of it has failed. It ends as cancelled, and says that it
// was not this process that wanted it.

import { spawn } from 'node:child_process'
import { afterAll, expect, test } from 'vitest'
import { BlockJobStatus } from '../../lib/index.js'
import { commandFile } from '../support/processes/command.js'
import { leashed } from '../support/processes/leash.mjs'
import { TempFolder } from '../support/temp-folder.js'
import {
  deeds,
  endOf,
  failureOf,
  jobIn,
  open,
  start,
  startAtFlush,
  startPeer,
  timesAsked,
  until,
} from './live-domain.js'

const temp = new TempFolder('cancelled-by-others')
afterAll(() => temp.remove())

const byAnother = /pull of disk 'vda' was cancelled by another/

test('ends as cancelled, says by whom, and releases nothing', async () => {
  const { peer, domain, events } = await start(temp)
  const job = await domain.blockPull('vda')
  peer.cancel(jobIn(peer))
  expect(await failureOf(job.done)).toMatchObject({
    ...{ code: 'CANCELLED', virCode: 78, virDomain: 10, retryable: false },
    message: expect.stringMatching(byAnother),
  })
  expect(job.outcome).toMatchObject({ state: 'cancelled', released: [] })
  const error = { code: 'CANCELLED', message: expect.stringMatching(byAnother) }
  expect(events).toMatchObject([{ target: 'vda', status: BlockJobStatus.CANCELED, error }])
  expect(deeds(peer)).toEqual(['block-stream'])
})

test('while it waits at pending, too', async () => {
  const { peer, job, flush } = await startAtFlush(temp)
  peer.cancel(jobIn(peer))
  flush.release()
  expect(await endOf(job)).toBe('cancelled CANCELLED')
  expect(job.outcome?.error?.message).toMatch(byAnother)
  expect(deeds(peer)).not.toContain('job-finalize')
})

test('is reported by the reap that finds it, and the disk can be pulled again', async () => {
  const first = await start(temp)
  await first.domain.blockPull('vda')
  await first.connection.close()
  const asked = timesAsked(first.peer, 'query-block-jobs')
  const { domain, events } = await open(first.peer)
  // Connecting asks what there is, and who follows it asks again; one look of the first connection may be on its way.
  await until('the adoption', () => timesAsked(first.peer, 'query-block-jobs') > asked + 2)
  first.peer.cancel(jobIn(first.peer))
  const error = { code: 'CANCELLED', message: expect.stringMatching(byAnother) }
  expect(await domain.reap()).toMatchObject([{ target: 'vda', outcome: { state: 'cancelled', error } }])
  expect(events).toMatchObject([{ status: BlockJobStatus.CANCELED, error }])
  const again = await domain.blockPull('vda')
  first.peer.complete(jobIn(first.peer))
  expect(await endOf(again)).toBe('completed')
})

test('makes the command exit with 3 and say by whom', async () => {
  const peer = await startPeer(temp)
  const child = spawn(...leashed(process.execPath, [commandFile, 'pull', '--json', '--qmp', peer.path, 'vda']))
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (text) => (printed[name] += text))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  await peer.received('block-stream')
  peer.cancel(jobIn(peer))
  expect(await ended).toBe(3)
  expect(printed.stderr).toMatch(/^blockpull: cancelled after .*; pull of disk 'vda' was cancelled by another/)
  const end = JSON.parse(printed.stdout.trimEnd().split('\n').at(-1) ?? '') as unknown
  expect(end).toMatchObject({ event: 'end', state: 'cancelled', code: 'CANCELLED' })
})

test('and a job that has copied everything is pending until it is finalized', async () => {
  const { domain, job, flush } = await startAtFlush(temp)
  await expect.poll(async () => await domain.blockJobInfo('vda')).toMatchObject({ state: 'pending', foreign: false })
  flush.release()
  expect(await endOf(job)).toBe('completed')
})
