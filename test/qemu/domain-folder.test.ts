// SPDX-License-Identifier: Apache-2.0
//
// A folder of domains with a guest that comes and goes: the same domain is pulled by its QEMU while it runs and by
// our own engine while it does not, and its XML follows either way.

import { symlinkSync } from 'node:fs'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { connect, type Domain } from '../../lib/index.js'
import * as virt from '../../lib/libvirt.js'
import { VmFolder } from '../addon/vm-folder.js'
import { chainOf } from '../support/images/stream-case.js'
import { GuestPuller } from '../support/processes/guest-puller.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { expectWhole } from '../support/qemu/live-verdict.js'
import { flush } from '../support/qemu/qmp-proxy.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('domain-folder')
afterAll(() => temp.remove())

const slow = { bytesPerSecond: 1 << 16 }

/** A folder with vm0, whose monitor is looked for where QEMU will listen once it is started. */
async function makeFolder() {
  const folder = temp.folder()
  const vms = await VmFolder.make(folder)
  symlinkSync('qmp0', vms.file('vm0.qmp'))
  const chain = chainOf(folder, 'top.qcow2', 'mid.qcow2', 'base.qcow2')
  return { vms, chain }
}

/** A domain of the folder, by a connection that is closed with the test. */
async function domainOf(vms: VmFolder, name = 'vm0'): Promise<Domain> {
  const connection = await connect(vms.uri)
  onTestFinished(() => connection.close())
  return await connection.lookupByName(name)
}

test('a full pull under the guest leaves <backingStore/> in the XML, and every other byte', async () => {
  const { vms, chain } = await makeFolder()
  const live = await LiveDisk.start(chain)
  const job = await (await domainOf(vms)).blockPull('vda')
  expect(await job.done).toMatchObject({ method: 'block-stream', warnings: [] })
  expect(vms.read('vm0')).toBe(vms.xml('vm0', vms.disk('<backingStore/>')))
  await live.shutOff()
  expect(await live.complaints(null)).toEqual([])
})

test('a pull under the guest down to a base leaves the base in the XML', async () => {
  const { vms, chain } = await makeFolder()
  const live = await LiveDisk.start(chain, { style: 'drive' })
  const job = await (await domainOf(vms)).blockPull('vda', { base: vms.base })
  expect(await job.done).toMatchObject({ released: [vms.middle], warnings: [] })
  expect(vms.read('vm0')).toBe(vms.xml('vm0', vms.disk(vms.lower)))
  await live.shutOff()
  expect(await live.complaints(vms.base)).toEqual([])
})

test('a connection to the folder finishes an orphaned job and updates the XML', async () => {
  const { vms, chain } = await makeFolder()
  const live = await LiveDisk.start(chain)
  const puller = GuestPuller.start(live, { ...slow, base: vms.base })
  await puller.running()
  await puller.kill()
  const domain = await domainOf(vms)
  await domain.blockJobSetSpeed('vda', '0')
  await domain.reap()
  await expect.poll(() => vms.read('vm0')).toBe(vms.xml('vm0', vms.disk(vms.lower)))
  await live.shutOff()
  expect(await live.complaints(vms.base)).toEqual([])
})

describe('a pull that ended while nobody tracked it', () => {
  test('killed between the end in QEMU and the XML: the image is whole, and a connection updates the XML', async () => {
    const { vms, chain } = await makeFolder()
    const live = await LiveDisk.start(chain, { proxy: true })
    const proxy = live.proxy as NonNullable<typeof live.proxy>
    const held = proxy.hold(flush, 'before', 1)
    const puller = GuestPuller.start(live)
    await held.reached
    await puller.kill()
    proxy.cut()
    expect(vms.read('vm0')).toContain(vms.middle)
    await domainOf(vms)
    await expect.poll(() => vms.read('vm0')).toBe(vms.xml('vm0', vms.disk('<backingStore/>')))
    await expectWhole(live)
  })

  test.each([
    ['a whole one', null],
    ['one down to a base', 'base'],
  ] as const)(
    '%s, that nobody need wait for: once reap has answered, the XML describes the new chain',
    async (_, base) => {
      const { vms, chain } = await makeFolder()
      const live = await LiveDisk.start(chain)
      const connection = await connect(vms.uri)
      const domain = await connection.lookupByName('vm0')
      const client = await live.client()
      const job = await domain.blockPull('vda', { base: base && vms.base, detached: true, ...slow })
      await connection.close()
      await expect(job.done).rejects.toMatchObject({ code: 'CLOSED' })
      const [{ device }] = await client.execute('query-block-jobs')
      await client.execute('block-job-set-speed', { device, speed: 0 })
      await client.event('BLOCK_JOB_PENDING')
      expect(vms.read('vm0')).toContain(vms.middle)
      expect(await (await domainOf(vms)).reap()).toMatchObject([{ outcome: { state: 'completed', verified: true } }])
      expect(vms.read('vm0')).toBe(vms.xml('vm0', vms.disk(base === null ? '<backingStore/>' : vms.lower)))
      await live.shutOff()
      expect(await live.complaints(base && vms.base)).toEqual([])
    },
  )

  test('the XML stays if QEMU has the image open otherwise than its header states', async () => {
    const { vms, chain } = await makeFolder()
    const file = { driver: 'file', filename: chain.top }
    const alone = JSON.stringify({ driver: 'qcow2', 'node-name': 'top', file, backing: null })
    await LiveDisk.start(chain, { diskArgs: ['-blockdev', alone, '-device', 'virtio-blk-pci,drive=top'] })
    const stated = vms.read('vm0')
    expect(await (await domainOf(vms)).reap()).toEqual([])
    expect(vms.read('vm0')).toBe(stated)
  })
})

test('a pull that is cancelled leaves the XML as it was', async () => {
  const { vms, chain } = await makeFolder()
  const live = await LiveDisk.start(chain)
  const job = await (await domainOf(vms)).blockPull('vda', slow)
  expect(await job.abort()).toMatchObject({ state: 'cancelled' })
  expect(vms.read('vm0')).toBe(vms.xml('vm0', vms.disk(vms.chain)))
  await live.shutOff()
  expect(await live.complaints(vms.middle)).toEqual([])
})

test('one domain object pulls under the guest, offline once it is shut off, and under the guest again', async () => {
  const { vms, chain } = await makeFolder()
  const domain = await domainOf(vms)
  expect(domain.state).toBe('shut off')

  const first = await LiveDisk.start(chain)
  const cancelled = await domain.blockPull('vda', slow)
  expect(await cancelled.abort()).toMatchObject({ state: 'cancelled', method: 'block-stream' })
  await first.shutOff()

  const offline = await domain.blockPull('vda', { base: vms.base })
  expect(await offline.done).toMatchObject({ state: 'completed', released: [vms.middle] })
  expect(offline.progress.method).not.toBe('block-stream')
  expect(await first.complaints(vms.base)).toEqual([])

  const second = await LiveDisk.start(chainOf(chain.folder, 'top.qcow2', 'base.qcow2'))
  const live = await domain.blockPull('vda')
  expect(await live.done).toMatchObject({ state: 'completed', method: 'block-stream', released: [vms.base] })
  await second.shutOff()
  expect(await second.complaints(null)).toEqual([])
  expect(vms.read('vm0')).toBe(vms.xml('vm0', vms.disk('<backingStore/>')))
})

test("a guest's disk is not pulled offline while its QEMU runs, monitor or not", async () => {
  const { vms, chain } = await makeFolder()
  const live = await LiveDisk.start(chain)
  const elsewhere = await connect({ domains: [{ name: 'vm0', disks: [...live.disks] }] })
  onTestFinished(() => elsewhere.close())
  const domain = await elsewhere.lookupByName('vm0')
  await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'LOCKED' })
  await live.shutOff()
  expect(await live.complaints(vms.middle)).toEqual([])
})

test('a guest without XML is a domain by its socket', async () => {
  const { vms, chain } = await makeFolder()
  symlinkSync('qmp0', vms.file('other.qmp'))
  const live = await LiveDisk.start(chain, { style: 'drive' })
  const domain = await domainOf(vms, 'other')
  expect(domain).toMatchObject({ state: 'running', disks: [] })
  const job = await domain.blockPull('drive0', { base: 'drive0[2]' })
  expect(await job.done).toMatchObject({ released: [vms.middle], warnings: [] })
  expect(vms.read('vm0')).toBe(vms.xml('vm0', vms.disk(vms.chain)))
  await live.shutOff()
  expect(await live.complaints(vms.base)).toEqual([])
})

test("libvirt's calls: MiB/s reach QEMU as bytes, and an overflow starts nothing", async () => {
  const { vms, chain } = await makeFolder()
  const live = await LiveDisk.start(chain)
  const connection = await virt.virConnectOpen(vms.uri)
  onTestFinished(() => virt.virConnectClose(connection).then(() => undefined))
  const domain = await virt.virDomainLookupByName(connection, 'vm0')
  const tooFast = virt.virDomainBlockPull(domain, 'vda', 2n ** 43n, 0)
  await expect(tooFast).rejects.toMatchObject({ code: 'OVERFLOW' })
  expect(await live.jobs()).toEqual([])
  await virt.virDomainBlockPull(domain, 'vda', 1, 0)
  expect(await virt.virDomainGetBlockJobInfo(domain, 'vda', 0)).toMatchObject({ type: 1, bandwidth: 1 })
  expect(await (await live.client()).execute('query-block-jobs')).toMatchObject([{ speed: 1 << 20 }])
  await virt.virDomainBlockJobAbort(domain, 'vda', 0)
  expect(await virt.virDomainGetBlockJobInfo(domain, 'vda', 0)).toBeNull()
  await live.shutOff()
  expect(await live.complaints(vms.middle)).toEqual([])
})

test('a disk that QEMU opened by a relative name is still found by its path', async () => {
  const { vms, chain } = await makeFolder()
  const drive = 'if=none,id=drive0,file=top.qcow2,format=qcow2'
  const live = await LiveDisk.start(chain, { diskArgs: ['-drive', drive, '-device', 'virtio-blk-pci,drive=drive0'] })
  const job = await (await domainOf(vms)).blockPull('vda')
  expect(await job.done).toMatchObject({ state: 'completed', verified: true, warnings: [] })
  await live.shutOff()
  expect(await live.complaints(null)).toEqual([])
})
