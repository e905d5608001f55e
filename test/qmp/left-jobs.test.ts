// SPDX-License-Identifier: Apache-2.0
//
// Jobs in a guest's QEMU across connections: what is asked of one before its connection lets go is done, and what a
// new connection finishes before anybody asks is told all the same. Against the scripted peer, which can be slow.

import { once } from 'node:events'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { connect } from '../../lib/index.js'
import { faults, QmpPeer } from '../qmp-peer/index.mjs'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('left-jobs')
afterAll(() => temp.remove())

/** A guest with a disk 'vda' of two images, and a way to connect to it. */
async function startPeer() {
  const path = `${temp.folder()}/vm0.qmp`
  const nodes = ['top', 'base'].map((nodeName) => ({ nodeName, filename: `/vms/${nodeName}`, virtualSize: 2 ** 30 }))
  const peer = await QmpPeer.start({ path, disks: [{ device: 'vda', nodes }] })
  onTestFinished(() => peer.stop())
  const open = async () => {
    const connection = await connect({ domains: [{ name: 'vm0', qmp: path, disks: [] }] })
    onTestFinished(() => connection.close())
    return { connection, domain: await connection.lookupByName('vm0') }
  }
  const commands = () => peer.log.flatMap((entry) => (entry.kind === 'command' ? [entry.name] : []))
  return { peer, open, commands }
}

test('a job that is told to end is cancelled, although its connection is closed at once', async () => {
  const { peer, open, commands } = await startPeer()
  const { connection, domain } = await open()
  const job = await domain.blockPull('vda')
  peer.misbehave(faults.delayReplies(200, 'query-block-jobs'))
  await domain.blockJobAbort('vda', { async: true })
  await connection.close()
  await expect(job.done).rejects.toThrow()
  expect(commands()).toContain('job-cancel')
})

test('a limit that is set is in force, although its connection is closed at once', async () => {
  const { peer, open, commands } = await startPeer()
  const { connection, domain } = await open()
  const job = await domain.blockPull('vda')
  peer.misbehave(faults.delayReplies(200, 'block-job-set-speed'))
  job.setBandwidth('1MiB/s')
  const begun = performance.now()
  await connection.close()
  expect(performance.now() - begun).toBeGreaterThan(100)
  await expect(job.done).rejects.toMatchObject({ code: 'CLOSED' })
  expect(commands()).toContain('block-job-set-speed')
})

test('a job that connect has finished is told by the next reap, once', async () => {
  const { peer, open } = await startPeer()
  const first = await open()
  const job = await first.domain.blockPull('vda')
  await first.connection.close()
  await expect(job.done).rejects.toMatchObject({ code: 'CLOSED' })
  const { connection, domain } = await open()
  const ended = once(connection, 'blockJob')
  const started = peer.log.find((entry) => entry.kind === 'command' && entry.name === 'block-stream')
  if (started?.kind === 'command') peer.complete(String(started.arguments['job-id']))
  await ended
  expect(await domain.reap()).toMatchObject([{ target: 'vda', path: '/vms/top', outcome: { state: 'completed' } }])
  expect(await domain.reap()).toEqual([])
})

test('disks that no XML states are those of QEMU', async () => {
  const { open } = await startPeer()
  const { domain } = await open()
  expect(domain.disks).toEqual([])
  expect(await domain.listDisks()).toEqual([{ target: 'vda', source: '/vms/top', format: 'qcow2' }])
})
