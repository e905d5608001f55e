// SPDX-License-Identifier: Apache-2.0
//
// Two disks of one guest that stand on the same layers, and several clients of one QEMU, one after another or at once:
// whose job is whose, what is released, and what is durable.

import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Connection, connect, type Domain } from '../../lib/index.js'
import { type CaseChain, makeChain, pathAt } from '../support/images/stream-case.js'
import { check, difference, flatten, info, qemuImg } from '../support/qemu/qemu.js'
import { startQemu } from '../support/qemu/start-qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('shared-layers')
afterAll(() => temp.remove())

const slow = { bytesPerSecond: 1 << 16 }

/** top and other stand on mid, and that on base. */
async function layers(): Promise<{ chain: CaseChain; other: string; folder: string }> {
  const folder = temp.folder()
  const base = { name: 'base', size: '4M', io: ['write -P 5 0 2M'] }
  const mid = { name: 'mid', size: '4M', io: ['write -P 6 2M 2M'] }
  await makeChain(folder, base, mid, { name: 'other', size: '4M' })
  const chain = await makeChain(folder, base, mid, { name: 'top', size: '4M' })
  return { chain, other: join(folder, 'other'), folder }
}

function node(name: string, path: string, backing: string | null): string[] {
  const below = backing === null ? '' : `,backing=${backing}`
  return ['-blockdev', `driver=qcow2,node-name=${name},file.driver=file,file.filename=${path}${below}`]
}

/** A guest with the disks vda on top and vdb on other, over one node for mid. */
async function startGuest(monitors: number) {
  const { chain, other, folder } = await layers()
  const before = join(folder, 'before.raw')
  await flatten(chain.top, before)
  const nodes = [
    ...node('base', pathAt(chain, 2), null),
    ...node('mid', pathAt(chain, 1), 'base'),
    ...node('top', chain.top, 'mid'),
    ...node('other', other, 'mid'),
  ]
  const device = (id: string, drive: string) => ['-device', `virtio-blk-pci,id=${id},drive=${drive}`]
  const devices = [...device('vda', 'top'), ...device('vdb', 'other')]
  const qemu = await startQemu({ folder, machine: 'q35', monitors, args: [...nodes, ...devices] })
  return { chain, other, before, qemu }
}

/** A connection by that monitor, closed with the test at the latest. */
async function domainOn(socket: string, chain: CaseChain, other: string): Promise<[Connection, Domain]> {
  const disks = [
    { target: 'vda', source: chain.top, format: 'qcow2' },
    { target: 'vdb', source: other, format: 'qcow2' },
  ]
  const connection = await connect({ domains: [{ name: 'vm0', qmp: socket, disks }] })
  onTestFinished(() => connection.close())
  return [connection, await connection.lookupByName('vm0')]
}

describe('two disks over one layer', () => {
  test('each disk has its own job, and a layer that the other disk reads is not released', async () => {
    const { chain, other, qemu } = await startGuest(1)
    const [, domain] = await domainOn(qemu.socket, chain, other)
    const job = await domain.blockPull('vda', { base: pathAt(chain, 2), ...slow })
    expect(await domain.blockJobInfo('vdb')).toBeNull()
    await expect(domain.blockJobAbort('vdb')).rejects.toMatchObject({ code: 'NO_JOB' })
    await expect(domain.blockJobSetSpeed('vdb', '1MiB/s')).rejects.toMatchObject({ code: 'NO_JOB' })
    expect(await domain.blockJobInfo('vda')).toMatchObject({ bandwidth: slow.bytesPerSecond })
    job.setBandwidth('0')
    expect(await job.done).toMatchObject({ state: 'completed', released: [] })
  })
})

describe('two clients of one QEMU', () => {
  test('finish the same job without failing each other, and nothing is lost', async () => {
    const { chain, other, before, qemu } = await startGuest(2)
    const [, domain] = await domainOn(qemu.sockets[0] ?? '', chain, other)
    for (const base of [pathAt(chain, 2), null]) {
      const job = await domain.blockPull('vda', { base, bytesPerSecond: 1 << 23 })
      const [second, again] = await domainOn(qemu.sockets[1] ?? '', chain, other)
      const reaped = again.reap()
      expect(await job.done).toMatchObject({ state: 'completed' })
      for (const { outcome } of await reaped) expect(['completed', 'unknown']).toContain(outcome.state)
      await second.close()
    }
    await qemu.kill()
    expect((await check(chain.top)).code).toBe(0)
    expect(await difference(before, chain.top)).toBeNull()
  })

  test('a job of ours that keeps another base is not taken over', async () => {
    const { chain, other, qemu } = await startGuest(2)
    const [, domain] = await domainOn(qemu.sockets[0] ?? '', chain, other)
    const [, again] = await domainOn(qemu.sockets[1] ?? '', chain, other)
    const job = await again.blockPull('vda', { base: pathAt(chain, 2), ...slow })
    await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'JOB_ACTIVE' })
    await job.abort()
  })
})

test('a detached pull keeps its backing file until a reap', async () => {
  const { chain, other, before, qemu } = await startGuest(2)
  const socket = qemu.sockets[0] ?? ''
  const [first, domain] = await domainOn(socket, chain, other)
  const job = await domain.blockPull('vda', { detached: true, bytesPerSecond: 1 << 24 })
  await first.close()
  await expect(job.done).rejects.toMatchObject({ code: 'CLOSED' })
  const client = await qemu.connect(1)
  await expect.poll(() => client.execute('query-jobs')).toMatchObject([{ status: 'pending' }])
  await client.close()
  expect(await qemuImg('info', '-U', '-f', 'qcow2', chain.top)).toContain('backing file: ')
  const [, again] = await domainOn(socket, chain, other)
  expect(await again.reap()).toMatchObject([{ outcome: { state: 'completed', verified: true } }])
  await qemu.kill()
  expect((await info(chain.top))['backing-filename']).toBeUndefined()
  expect(await difference(before, chain.top)).toBeNull()
})
