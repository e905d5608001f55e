// SPDX-License-Identifier: Apache-2.0
//
// libvirt's layer over a fake binding: types refused, arguments passed on unjudged, events 8 and 16, every number.

import { beforeEach, describe, expect, it, vi } from 'vitest'
import { openVirConnect } from '../../lib/libvirt/handles.js'
import * as virt from '../../lib/libvirt.js'
import { FakeBinding, failure, vm0 } from './fake-binding.js'

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

  it('list active and inactive domains apart, and refuse flags that nobody knows', async () => {
    binding.domains = [vm0, { ...vm0, name: 'vm1', state: 1 }]
    const names = async (flags: number) => {
      const domains = await virt.virConnectListAllDomains(conn, flags)
      return domains.map((domain) => virt.virDomainGetName(domain))
    }
    await expect(names(0)).resolves.toEqual(['vm0', 'vm1'])
    await expect(names(virt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)).resolves.toEqual(['vm1'])
    await expect(names(virt.VIR_CONNECT_LIST_DOMAINS_INACTIVE)).resolves.toEqual(['vm0'])
    await expect(names(3)).resolves.toEqual(['vm0', 'vm1'])
    await expect(names(0x80000001)).rejects.toMatchObject({
      message: 'unsupported flags (0x80000000) in function qemuConnectListAllDomains',
      virCode: virt.VIR_ERR_INVALID_ARG,
    })
    await expect(virt.virDomainGetXMLDesc(dom, 16)).rejects.toThrow('unsupported flags (0x10)')
  })

  it('open read-only, by name or by the environment, and close', async () => {
    await openVirConnect(() => binding, 'qemu:///embed?root=/srv', true)
    expect(binding.last).toMatchObject({ uri: 'qemu:///embed?root=/srv', readOnly: true })
    vi.stubEnv('BLOCKPULL_URI', '')
    vi.stubEnv('LIBVIRT_DEFAULT_URI', 'qemu:///embed?root=/default')
    for (const name of [null, undefined, '']) {
      await openVirConnect(() => binding, name, false)
      expect(binding.last).toMatchObject({ uri: 'qemu:///embed?root=/default' })
    }
    vi.unstubAllEnvs()
    await expect(virt.virConnectClose(conn)).resolves.toBe(0)
    const closed = { code: 'CLOSED', virCode: virt.VIR_ERR_INVALID_CONN, virDomain: virt.VIR_FROM_DOMAIN }
    const register = virt.virConnectDomainEventRegisterAny(conn, null, 8, () => undefined)
    await expect(register).rejects.toMatchObject(closed)
    await expect(virt.virConnectDomainEventDeregisterAny(conn, 0)).rejects.toMatchObject(closed)
  })
})

describe('events', () => {
  const change = {
    domain: { name: 'vm0', uuid: vm0.uuid },
    target: 'vda',
    path: '/srv/a',
    type: 1,
    status: 0,
    error: null,
  }

  it('are 8 with the path and then 16 with the target', async () => {
    const heard: unknown[] = []
    const listen =
      (id: number) =>
      (...[, domain, disk, type, status, opaque]: Parameters<virt.VirBlockJobCallback>) =>
        heard.push([id, virt.virDomainGetName(domain), disk, type, status, opaque])
    await virt.virConnectDomainEventRegisterAny(conn, null, virt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, listen(16), 'mine')
    await virt.virConnectDomainEventRegisterAny(conn, dom, virt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB, listen(8))
    binding.send(change)
    expect(heard).toEqual([
      [8, 'vm0', '/srv/a', 1, 0, undefined],
      [16, 'vm0', 'vda', 1, 0, 'mine'],
    ])
    binding.send({ ...change, path: '' })
    expect(heard).toHaveLength(3)
    binding.send({ ...change, domain: { name: 'vm1', uuid: 'other' } })
    expect(heard).toHaveLength(4)
    expect(heard.at(-1)).toEqual([16, 'vm1', 'vda', 1, 0, 'mine'])
  })

  it('end with their registration, even from inside a callback', async () => {
    let calls = 0
    const id = await virt.virConnectDomainEventRegisterAny(conn, null, 16, () => {
      calls += 1
      void virt.virConnectDomainEventDeregisterAny(conn, id)
    })
    expect(id).toBe(0)
    binding.send(change)
    binding.send(change)
    expect(calls).toBe(1)
    await expect(virt.virConnectDomainEventDeregisterAny(conn, id)).rejects.toMatchObject({
      message: 'invalid argument: event callback id 0 not registered',
      virCode: 8,
    })
  })

  it('are registered by libvirt’s rules', async () => {
    const callback = vi.fn()
    const other = await openVirConnect(() => binding, 'qemu:///embed?root=/srv', false)
    await virt.virConnectDomainEventRegisterAny(conn, null, 8, callback)
    const register = (from: virt.VirConnect, id: number) =>
      virt.virConnectDomainEventRegisterAny(from, null, id, callback)
    await expect(register(conn, 8)).rejects.toThrow('event callback already tracked')
    await expect(register(conn, 16)).resolves.toBe(1)
    await expect(register(other, 8)).resolves.toBe(0)
    await expect(register(conn, 28)).rejects.toThrow('eventID must be less than 28')
    await expect(register(conn, 0)).rejects.toMatchObject({ code: 'UNSUPPORTED', virCode: virt.VIR_ERR_NO_SUPPORT })
    await expect(virt.virConnectDomainEventRegisterAny(other, dom, 8, callback)).rejects.toThrow(
      /must match connection/,
    )
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
