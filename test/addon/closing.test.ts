// SPDX-License-Identifier: Apache-2.0
//
// What close() promises: jobs end at a consistent point and are waited for, the second call does nothing, and
// every call after it is refused.

import { execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { connect } from '../../lib/index.js'
import { pulled } from '../support/images/stream-case.js'
import { check } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'
import { slowly, VmFolder } from './vm-folder.js'

const temp = new TempFolder('closing')
afterAll(() => temp.remove())

let vms: VmFolder
beforeEach(async () => {
  vms = await VmFolder.make(temp.folder())
})

test('close ends the jobs of the connection and waits for them', async () => {
  const connection = await connect(vms.uri)
  const job = await (await connection.lookupByName('vm0')).blockPull('vda', slowly)
  job.done.catch(() => undefined)
  await connection.close()
  expect(job.outcome).toMatchObject({ state: 'cancelled', error: { code: 'CANCELLED' } })
  expect((await check(vms.top)).code).toBe(0)
  expect(await pulled(vms.top)).toMatchObject({ state: 'completed' })
})

test('a close during the start of a job leaves nothing running', async () => {
  for (let turn = 0; turn < 20; turn++) {
    const connection = await connect(vms.uri)
    const domain = await connection.lookupByName('vm0')
    const starting = domain.blockPull('vda', slowly).then(
      (job) => job.done.catch((error) => error.code),
      (error) => error.code,
    )
    if (turn % 2 === 1) await new Promise((resolve) => setTimeout(resolve, turn / 10))
    await connection.close()
    expect(['CANCELLED', 'CLOSED']).toContain(await starting)
  }
  expect(await pulled(vms.top)).toMatchObject({ state: 'completed' })
})

test('close does not wait for a thread of the lookup pool', async () => {
  const fifo = temp.file('fifo')
  execFileSync('mkfifo', [fifo])
  const connection = await connect(vms.uri)
  const job = await (await connection.lookupByName('vm0')).blockPull('vda', slowly)
  job.done.catch(() => undefined)
  // Four threads unless told otherwise; each now waits for somebody to write.
  const blocked = Array.from({ length: 4 }, () => open(fifo, 'r'))
  try {
    await connection.close()
    expect(job.outcome).toMatchObject({ state: 'cancelled' })
  } finally {
    // Open until the last of them has opened, which may have begun only now.
    const writer = openSync(fifo, 'r+')
    for (const file of await Promise.all(blocked)) await file.close()
    closeSync(writer)
  }
})

test('close may be called again, also at the same time', async () => {
  const connection = await connect(vms.uri)
  const job = await (await connection.lookupByName('vm0')).blockPull('vda', slowly)
  job.done.catch(() => undefined)
  await Promise.all([connection.close(), connection.close()])
  expect(job.outcome).not.toBeNull()
  await connection.close()
})

test('every call on a closed connection says so', async () => {
  const connection = await connect(vms.uri)
  const domain = await connection.lookupByName('vm0')
  await connection.close()
  const calls = [
    () => connection.lookupByName('vm0'),
    () => connection.lookupByUUID(domain.uuid),
    () => connection.listAllDomains(),
    () => connection.defineXML('<domain/>'),
    () => domain.xml(),
    () => domain.blockPull('vda'),
    () => domain.blockRebase('vda'),
    () => domain.plan('vda'),
    () => domain.blockJobInfo('vda'),
    () => domain.blockJobSetSpeed('vda', '1MiB/s'),
    () => domain.blockJobAbort('vda'),
  ]
  for (const call of calls) {
    await expect(call()).rejects.toMatchObject({
      code: 'CLOSED',
      virCode: 6,
      message: expect.stringMatching(/^invalid connection pointer in vir\w+: the connection is closed$/),
    })
  }
})

test('jobs of other connections and of bare images continue', async () => {
  const [first, second] = [await connect(vms.uri), await connect(vms.uri)]
  const job = await (await second.lookupByName('vm0')).blockPull('vda', slowly)
  await first.close()
  expect(job.outcome).toBeNull()
  job.setBandwidth('0')
  expect(await job.done).toMatchObject({ state: 'completed' })
  await second.close()
})
