// SPDX-License-Identifier: Apache-2.0
//
// Pulls that are aborted while QEMU does not answer, before there is a job: the call ends soon, says whether QEMU may
// begin the pull yet, keeps no process alive, and nobody is left with a job that was not wanted.

import { afterAll, expect, test } from 'vitest'
import type { Domain } from '../../lib/index.js'
import { faults } from '../qmp-peer/index.mjs'
import type { Fault } from '../qmp-peer/types.js'
import { run } from '../support/processes/run-program.js'
import { TempFolder } from '../support/temp-folder.js'
import { deeds, endOf, failureOf, HeldReply, jobIn, start, startPeer, timesAsked } from './live-domain.js'

const temp = new TempFolder('given-up')
afterAll(() => temp.remove())

/** Longer than a test may take: what ends a call earlier is not these. */
const endless = { connect: 600_000, query: 600_000, change: 600_000 }

/** A domain whose QEMU has told all that a connection asks for by itself. */
async function settled(...misbehaviour: readonly Fault[]) {
  const started = await start(temp, [], {}, endless)
  expect(await started.domain.blockJobInfo('vda')).toBeNull()
  for (const fault of misbehaviour) started.peer.misbehave(fault)
  return started
}

/** A pull whose signal is aborted once `isThere`. */
async function abortedPull(domain: Domain, isThere: Promise<unknown>) {
  const controller = new AbortController()
  const pull = failureOf(domain.blockPull('vda', { signal: controller.signal }))
  await isThere
  controller.abort()
  return await pull
}

test('QEMU may still start a pull after an abort; that job is cancelled', async () => {
  const held = new HeldReply('block-stream')
  const { peer, domain, events } = await settled(held)
  const failure = await abortedPull(domain, held.reached())
  expect(failure).toMatchObject({ code: 'MONITOR_TIMEOUT', virCode: 68, syscall: null, path: peer.path })
  expect(failure.qemu).toEqual({ command: 'block-stream', class: null, message: null })
  expect(failure.message).toMatch(/did not answer 'block-stream' in time; .*, 'blockpull reap' finishes it$/)
  held.release()
  await peer.received('job-cancel')
  expect(deeds(peer)).toEqual(['block-stream', 'job-cancel'])
  expect(peer.statusOf(jobIn(peer))).toBeUndefined()
  expect(events).toEqual([])
})

test('a pull that was aborted before its request is not started when QEMU answers', async () => {
  const held = new HeldReply('query-block')
  const { peer, domain } = await settled(held)
  const failure = await abortedPull(domain, held.reached())
  expect(failure).toMatchObject({ code: 'MONITOR_TIMEOUT', qemu: null })
  expect(failure.message).toMatch(/did not answer in time; nothing was started$/)
  held.release()
  expect(await domain.blockJobInfo('vda')).toBeNull()
  expect(timesAsked(peer, 'block-stream')).toBe(0)
})

test('an aborted start does not block another pull of the disk', async () => {
  const held = new HeldReply('block-stream')
  const { peer, domain } = await settled(held)
  await abortedPull(domain, held.reached())
  held.release()
  await peer.received('job-cancel')
  peer.pace(2 ** 20)
  expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
})

test('a QEMU that answers soon after the abort has its job cancelled, as always', async () => {
  const held = new HeldReply('block-stream')
  const { peer, domain } = await settled(held)
  const controller = new AbortController()
  const pull = domain.blockPull('vda', { signal: controller.signal })
  await held.reached()
  controller.abort()
  held.release()
  await expect(pull).rejects.toMatchObject({ name: 'AbortError' })
  expect(deeds(peer)).toEqual(['block-stream', 'job-cancel'])
})

test.each([
  ['greets', faults.mute(), null],
  ['lists its commands', faults.neverAnswer('query-commands'), null],
  ['tells its devices', faults.neverAnswer('query-block'), null],
  ['begins the job', faults.neverAnswer('block-stream'), 'block-stream'],
])('a process whose QEMU never %s ends once its pull is aborted, connection or not', async (_what, fault, command) => {
  const peer = await startPeer(temp, [fault])
  const program = `
    import { connect } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)}
    const disks = [{ target: 'vda', source: '/vms/top.qcow2', format: 'qcow2' }]
    const domains = [{ name: 'vm0', qmp: ${JSON.stringify(peer.path)}, disks }]
    const connection = await connect({ domains, monitorTimeouts: ${JSON.stringify(endless)} })
    const domain = await connection.lookupByName('vm0')
    const pull = domain.blockPull('vda', { signal: AbortSignal.timeout(500) })
    await pull.catch(({ code, qemu }) => console.log(code, qemu?.command ?? null))`
  const ended = await run(process.execPath, ['--input-type=module', '-e', program])
  expect(ended).toEqual({ code: 0, stdout: `MONITOR_TIMEOUT ${command}\n`, stderr: '' })
})

test('a waiting abort is told that its job continues when its connection is closed', async () => {
  const ignore: Fault = { received: ({ name }) => (name === 'job-cancel' ? 'ignore' : undefined) }
  const { peer, connection, domain } = await start(temp, [ignore], {}, { change: 400 })
  const job = await domain.blockPull('vda')
  const abort = failureOf(domain.blockJobAbort('vda'))
  await peer.received('job-cancel')
  await connection.close()
  expect(await abort).toMatchObject({ code: 'CLOSED' })
  expect(await endOf(job)).toBe('unknown CLOSED')
})
