// SPDX-License-Identifier: Apache-2.0
//
// The calls of `blockpull/libvirt` over the real addon: flags, units and the order of libvirt's checks, where one
// mistake hides another.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as virt from '../../lib/libvirt.js'
import { TempFolder } from '../support/temp-folder.js'
import { VmFolder } from './vm-folder.js'

const temp = new TempFolder('libvirt-calls')
const bytes = virt.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES
let vms: VmFolder
let conn: virt.VirConnect
let dom: virt.VirDomain

beforeAll(async () => {
  vms = await VmFolder.make(temp.folder())
  conn = await virt.virConnectOpen(vms.uri)
  dom = await virt.virDomainLookupByName(conn, 'vm0')
})

afterAll(async () => {
  await virt.virConnectClose(conn)
  temp.remove()
})

async function refused(call: Promise<unknown>, virCode: number, virDomain: number, message: string): Promise<void> {
  await expect(call).rejects.toMatchObject({ virCode, virDomain, message })
}

describe('virDomainBlockPull', () => {
  test('refuses unknown flags before it looks for the disk, and shows only those', async () => {
    const message = 'unsupported flags (0x1) in function qemuDomainBlockPull'
    await refused(virt.virDomainBlockPull(dom, 'none', 0, bytes | 1), 8, 10, message)
  })

  test('refuses an unknown disk before the bandwidth', async () => {
    const message = "invalid argument: disk 'none' not found in domain"
    await refused(virt.virDomainBlockPull(dom, 'none', 8796093022208), 8, 10, message)
  })

  test('refuses a bandwidth that has no value in bytes', async () => {
    const message = 'numerical overflow: bandwidth must be less than 8796093022207'
    await refused(virt.virDomainBlockPull(dom, 'vda', 8796093022208), 82, 10, message)
    await refused(virt.virDomainBlockPull(dom, 'vda', 2n ** 64n - 1n), 82, 10, message)
    const negative = "internal error: argument key 'speed' must not be negative"
    await refused(virt.virDomainBlockPull(dom, 'vda', 2n ** 63n, bytes), 1, 0, negative)
  })
})

describe('virDomainBlockRebase', () => {
  test('refuses flags of a copy, and a copy', async () => {
    for (const flag of [
      virt.VIR_DOMAIN_BLOCK_REBASE_SHALLOW,
      virt.VIR_DOMAIN_BLOCK_REBASE_REUSE_EXT,
      virt.VIR_DOMAIN_BLOCK_REBASE_COPY_RAW,
      virt.VIR_DOMAIN_BLOCK_REBASE_COPY_DEV,
    ]) {
      await refused(virt.virDomainBlockRebase(dom, 'vda', null, 0, flag), 8, 20, 'use of flags requires a copy job')
    }
    const copy = virt.VIR_DOMAIN_BLOCK_REBASE_COPY
    const without = 'base in virDomainBlockRebase must not be NULL'
    await refused(virt.virDomainBlockRebase(dom, 'vda', null, 0, copy), 8, 20, without)
    await expect(virt.virDomainBlockRebase(dom, 'vda', 'x', 0, copy)).rejects.toMatchObject({ virCode: 3 })
    const unknown = 'unsupported flags (0x80) in function qemuDomainBlockRebase'
    await refused(virt.virDomainBlockRebase(dom, 'vda', null, 0, 0x80), 8, 10, unknown)
  })

  test('requires a base for its relative name, before it looks for the disk', async () => {
    const relative = virt.VIR_DOMAIN_BLOCK_REBASE_RELATIVE
    const message = 'invalid argument: flag VIR_DOMAIN_BLOCK_REBASE_RELATIVE is valid only with non-null base'
    await refused(virt.virDomainBlockRebase(dom, 'none', null, 0, relative), 8, 10, message)
  })
})

describe('virDomainBlockJobSetSpeed', () => {
  test('refuses a bandwidth before it looks for the disk', async () => {
    const message = 'numerical overflow: bandwidth must be less than 8796093022207'
    await refused(virt.virDomainBlockJobSetSpeed(dom, 'none', 8796093022208), 82, 10, message)
    const unknown = 'unsupported flags (0x2) in function qemuDomainBlockJobSetSpeed'
    await refused(virt.virDomainBlockJobSetSpeed(dom, 'none', 8796093022208, 2), 8, 10, unknown)
  })
})

describe('a job', () => {
  test('shows its limit rounded up to MiB, or in bytes, and cannot be pivoted to', async () => {
    await virt.virDomainBlockPull(dom, 'vda', 65536, bytes)
    expect(await virt.virDomainGetBlockJobInfo(dom, 'vda')).toMatchObject({ type: 1, bandwidth: 1 })
    const inBytes = virt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES
    expect(await virt.virDomainGetBlockJobInfo(dom, 'vda', inBytes)).toMatchObject({ bandwidth: 65536 })
    const pivot = virt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT
    const message = "block copy still active: block job 'pull-vda' not ready for pivot yet"
    await refused(virt.virDomainBlockJobAbort(dom, 'vda', pivot), 83, 10, message)
    expect(await virt.virDomainGetBlockJobInfo(dom, 'vda')).not.toBeNull()
    await virt.virDomainBlockJobAbort(dom, 'vda')
    expect(await virt.virDomainGetBlockJobInfo(dom, 'vda')).toBeNull()
  })

  test('sends its end as event 8 with the path, then as event 16 with the target, before abort returns', async () => {
    const told: unknown[] = []
    const tell = (_conn: unknown, _dom: unknown, disk: string, type: number, status: number) => {
      told.push([disk, type, status])
    }
    await virt.virConnectDomainEventRegisterAny(conn, null, virt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB, tell)
    await virt.virConnectDomainEventRegisterAny(conn, dom, virt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, tell)
    await virt.virDomainBlockPull(dom, 'vda', 65536, bytes)
    await virt.virDomainBlockJobAbort(dom, 'vda')
    expect(told).toEqual([
      [vms.top, 1, 2],
      ['vda', 1, 2],
    ])
  })
})
