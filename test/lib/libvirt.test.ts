// SPDX-License-Identifier: Apache-2.0
//
// libvirt's layer over a fake binding: types refused, arguments passed on unjudged, events 8 and 16, every number.

import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { openVirConnect } from '../../lib/libvirt/handles.js'
import * as virt from '../../lib/libvirt.js'
import { FakeBinding, failure, noticesOf, vm0 } from './fake-binding.js'

let binding: FakeBinding
let conn: virt.VirConnect
let dom: virt.VirDomain

beforeEach(async () => {
  binding = new FakeBinding()
  conn = await openVirConnect(() => binding, 'qemu:///embed?root=/srv', false)
  dom = await virt.virDomainLookupByName(conn, 'vm0')
})

// biome-ignore lint/suspicious/noExplicitAny: the point is to be wrong
const wrong = (value: unknown) => value as any

describe('wrong types', () => {
  const refusals: [string, () => Promise<unknown>][] = [
    ['conn', () => virt.virDomainLookupByName(wrong({}), 'vm0')],
    ['conn', () => virt.virConnectClose(wrong(null))],
    ['name', () => virt.virDomainLookupByName(conn, wrong(1))],
    ['name', () => virt.virConnectOpen(wrong(1))],
    ['uuidstr', () => virt.virDomainLookupByUUIDString(conn, wrong(undefined))],
    ['xml', () => virt.virDomainDefineXML(conn, wrong(Buffer.from('')))],
    ['dom', () => virt.virDomainBlockPull(wrong('vm0'), 'vda', 0, 0)],
    ['disk', () => virt.virDomainBlockPull(dom, wrong(null), 0, 0)],
    ['bandwidth', () => virt.virDomainBlockPull(dom, 'vda', wrong('50M'), 0)],
    ['flags', () => virt.virDomainBlockPull(dom, 'vda', 0, wrong('0'))],
    ['base', () => virt.virDomainBlockRebase(dom, 'vda', wrong(1))],
    ['flags', () => virt.virDomainGetBlockJobInfo(dom, 'vda', wrong(null))],
    ['bandwidth', () => virt.virDomainBlockJobSetSpeed(dom, 'vda', wrong(undefined))],
    ['disk', () => virt.virDomainBlockJobAbort(dom, wrong({}))],
    ['callback', () => virt.virConnectDomainEventRegisterAny(conn, null, 8, wrong(null))],
    ['eventID', () => virt.virConnectDomainEventRegisterAny(conn, null, wrong('8'), vi.fn())],
    ['callbackID', () => virt.virConnectDomainEventDeregisterAny(conn, wrong(undefined))],
  ]

  it.each(refusals)('in %s reject with a TypeError that names it', async (name, call) => {
    const before = binding.calls.length
    await expect(call()).rejects.toThrow(TypeError)
    await expect(call()).rejects.toThrow(new RegExp(`^${name} is `))
    expect(binding.calls).toHaveLength(before)
  })

  it.each([
    ['bandwidth', () => virt.virDomainBlockPull(dom, 'vda', -1)],
    ['bandwidth', () => virt.virDomainBlockPull(dom, 'vda', 2n ** 64n)],
    ['flags', () => virt.virDomainBlockPull(dom, 'vda', 0, -1)],
    ['flags', () => virt.virDomainBlockPull(dom, 'vda', 0, 2 ** 32)],
  ])('values of %s that C cannot hold reject with a RangeError', async (name, call) => {
    await expect(call()).rejects.toThrow(RangeError)
    await expect(call()).rejects.toThrow(new RegExp(`^${name} is `))
  })
})

describe('calls', () => {
  it('pass bandwidth and flags on as they are, known or not', async () => {
    await expect(virt.virDomainBlockPull(dom, 'vda', 50, 0x80000000)).resolves.toBe(0)
    expect(binding.last).toEqual({
      uuid: vm0.uuid,
      disk: 'vda',
      call: 'virDomainBlockPull',
      base: null,
      exactBase: false,
      backingFormat: null,
      backingFormats: null,
      detached: false,
      onError: 'report',
      siblings: null,
      trailingData: 'refuse',
      ticket: 0n,
      bandwidth: 50n,
      flags: 0x80000000,
    })
    const flags = virt.VIR_DOMAIN_BLOCK_REBASE_RELATIVE | virt.VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES
    await expect(virt.virDomainBlockRebase(dom, 'vda', '/b', 2n ** 64n - 1n, flags)).resolves.toBe(0)
    expect(binding.last).toMatchObject({
      call: 'virDomainBlockRebase',
      base: '/b',
      bandwidth: 2n ** 64n - 1n,
      flags: 80,
    })
    await virt.virDomainBlockJobSetSpeed(dom, 'vda', 7, 0)
    expect(binding.last).toEqual({ uuid: vm0.uuid, disk: 'vda', bandwidth: 7n, flags: 0 })
    await virt.virDomainBlockJobAbort(dom, 'vda', virt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
    expect(binding.last).toEqual({ uuid: vm0.uuid, disk: 'vda', flags: 2 })
  })

  it('reject with libvirt’s numbers where C returns -1', async () => {
    binding.failures.set('blockPull', failure('OVERFLOW', { virCode: 82, virDomain: 10 }))
    await expect(virt.virDomainBlockPull(dom, 'vda', 8796093022208)).rejects.toMatchObject({
      code: 'OVERFLOW',
      virCode: virt.VIR_ERR_OVERFLOW,
      virDomain: virt.VIR_FROM_QEMU,
    })
  })

  it('give the job info as a struct, and null where C returns 0', async () => {
    await expect(virt.virDomainGetBlockJobInfo(dom, 'vda', 0)).resolves.toBeNull()
    binding.info = { type: 1, bandwidth: 50n, cur: 0n, end: 1n, state: 'running', stoppedOn: null, foreign: false }
    await expect(virt.virDomainGetBlockJobInfo(dom, 'vda')).resolves.toEqual({ type: 1, bandwidth: 50, cur: 0, end: 1 })
    const info = await virt.virDomainGetBlockJobInfo(dom, 'vda', 0, { bigint: true })
    expect(info?.end).toBe(1n)
  })

  it('find, name and describe domains', async () => {
    expect(virt.virDomainGetName(dom)).toBe('vm0')
    expect(virt.virDomainGetUUIDString(dom)).toBe(vm0.uuid)
    await expect(virt.virDomainGetXMLDesc(dom, virt.VIR_DOMAIN_XML_INACTIVE)).resolves.toBe('<domain/>')
    await virt.virDomainLookupByUUIDString(conn, vm0.uuid)
    expect(binding.last).toEqual({ name: null, uuid: vm0.uuid })
    await virt.virDomainDefineXML(conn, '<domain/>')
    expect(binding.last).toEqual({ xml: '<domain/>' })
  })

  it('hand the flags of a list and of XML on, for the addon to judge', async () => {
    binding.domains = [vm0, { ...vm0, name: 'vm1', id: 7, state: 1 }]
    const [stopped, running] = await virt.virConnectListAllDomains(conn, 0x80000001)
    expect(binding.last).toEqual({ flags: 0x80000001 })
    expect([stopped, running].map((domain) => domain && virt.virDomainGetID(domain))).toEqual([-1, 7])
    await virt.virDomainGetXMLDesc(dom, 16)
    expect(binding.last).toEqual({ uuid: vm0.uuid, flags: 16 })
  })

  it('open read-only, by name or without one, and close', async () => {
    await openVirConnect(() => binding, 'qemu:///embed?root=/srv', true)
    expect(binding.last).toMatchObject({ uri: 'qemu:///embed?root=/srv', readOnly: true })
    for (const name of [null, undefined, '']) {
      await openVirConnect(() => binding, name, false)
      expect(binding.last).toMatchObject({ uri: '', domains: null })
    }
    await expect(virt.virConnectClose(conn)).resolves.toBe(0)
  })
})

describe('events', () => {
  const change = (ids8: number[], ids16: number[], path = '/srv/a') => ({
    domain: { name: 'vm0', uuid: vm0.uuid, id: 3 },
    target: 'vda',
    path,
    type: 1,
    status: 0,
    notices: noticesOf(path, 'vda', ids8, ids16),
    error: null,
  })

  it('reach the callbacks that the addon names, in its order', async () => {
    const heard: unknown[] = []
    const listen =
      (id: number) =>
      (...[, domain, disk, type, status, opaque]: Parameters<virt.VirBlockJobCallback>) =>
        heard.push([id, virt.virDomainGetName(domain), virt.virDomainGetID(domain), disk, type, status, opaque])
    await virt.virConnectDomainEventRegisterAny(conn, null, virt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, listen(16), 'mine')
    await virt.virConnectDomainEventRegisterAny(conn, dom, virt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB, listen(8))
    binding.send(change([1], [0]))
    expect(heard).toEqual([
      [8, 'vm0', 3, '/srv/a', 1, 0, undefined],
      [16, 'vm0', 3, 'vda', 1, 0, 'mine'],
    ])
    binding.send(change([], [], ''))
    expect(heard).toHaveLength(2)
  })

  it('end with their registration, even for the next callback of the same event', async () => {
    const heard: string[] = []
    await virt.virConnectDomainEventRegisterAny(conn, null, 16, () => {
      heard.push('first')
      void virt.virConnectDomainEventDeregisterAny(conn, 1)
    })
    await virt.virConnectDomainEventRegisterAny(conn, null, 16, () => heard.push('second'))
    binding.send(change([], [0, 1]))
    expect(heard).toEqual(['first'])
    expect(binding.last).toEqual({ id: 1 })
  })

  it('reach the next callback where one throws, which is an uncaught exception', async () => {
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    onTestFinished(() => listeners.forEach((listener) => void process.on('uncaughtException', listener)))
    const thrown = new Promise((resolve) => process.once('uncaughtException', resolve))
    const heard = vi.fn()
    await virt.virConnectDomainEventRegisterAny(conn, null, 8, () => {
      throw new Error('mine')
    })
    await virt.virConnectDomainEventRegisterAny(conn, null, 16, heard)
    binding.send(change([0], [1]))
    expect(heard).toHaveBeenCalledTimes(1)
    expect(await thrown).toEqual(new Error('mine'))
  })

  it('are registered by the number of the callback, the same for the same function', async () => {
    const callback = vi.fn()
    const other = await openVirConnect(() => binding, 'qemu:///embed?root=/srv', false)
    const requests: unknown[] = []
    for (const [from, of, by] of [
      [conn, null, callback],
      [other, dom, callback],
      [conn, dom, vi.fn()],
    ] as const) {
      await virt.virConnectDomainEventRegisterAny(from, of, 8, by)
      requests.push(binding.last)
    }
    const [first, second, third] = requests as { readonly callback: bigint }[]
    expect(first).toMatchObject({ eventId: 8, domainUuid: null, domainName: null, isOfOtherConnection: false })
    expect(second).toMatchObject({ domainUuid: vm0.uuid, domainName: 'vm0', isOfOtherConnection: true })
    expect(second?.callback).toBe(first?.callback)
    expect(third?.callback).not.toBe(first?.callback)
    await expect(virt.virConnectDomainEventRegisterAny(conn, null, 2 ** 31, callback)).rejects.toThrow(RangeError)
  })
})

describe('constants', () => {
  it('have libvirt’s numbers', () => {
    expect(virt).toMatchObject({
      VIR_DOMAIN_BLOCK_JOB_TYPE_PULL: 1,
      VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP: 5,
      VIR_DOMAIN_BLOCK_JOB_CANCELED: 2,
      VIR_DOMAIN_BLOCK_JOB_READY: 3,
      VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC: 1 << 0,
      VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT: 1 << 1,
      VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES: 1 << 0,
      VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES: 1 << 0,
      VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES: 1 << 6,
      VIR_DOMAIN_BLOCK_REBASE_RELATIVE: 1 << 4,
      VIR_DOMAIN_BLOCK_REBASE_COPY_DEV: 1 << 5,
      VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES: 1 << 6,
      VIR_DOMAIN_BLOCK_COPY_TARGET_ZEROED: 1 << 4,
      VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES: 1 << 4,
      VIR_DOMAIN_EVENT_ID_BLOCK_JOB: 8,
      VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2: 16,
      VIR_ERR_OK: 0,
      VIR_ERR_OPERATION_DENIED: 29,
      VIR_ERR_AGENT_UNRESPONSIVE: 86,
      VIR_WAR_NO_SECRET: 64,
      VIR_ERR_INVALID_ENCR_KEY_SECRET: 114,
      VIR_FROM_STORAGE: 18,
    })
  })

  it('count every error number from 0 to 114 once', () => {
    const numbers = Object.entries(virt)
      .filter(([name]) => /^VIR_(ERR|WAR)_/.test(name))
      .map(([, value]) => value as number)
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 115 }, (_, index) => index))
  })
})
