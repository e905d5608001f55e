// SPDX-License-Identifier: Apache-2.0
//
// Connections and the jobs of domains, over the real addon: what a caller sees of libvirt's checks, and that a pull
// of a domain's disk leaves image, XML and events as they should be. Codes and words are libvirt's.

import { createServer } from 'node:net'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { type BlockJobEvent, type Connection, connect, type Domain } from '../../lib/index.js'
import { check, info } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'
import { slowly, VmFolder } from './vm-folder.js'

const temp = new TempFolder('connection')
const open: Connection[] = []
let vms: VmFolder
let domain: Domain

afterAll(async () => {
  await Promise.all(open.map((connection) => connection.close()))
  temp.remove()
})

async function opened(...args: Parameters<typeof connect>): Promise<Connection> {
  const connection = await connect(...args)
  open.push(connection)
  return connection
}

beforeEach(async () => {
  vms = await VmFolder.make(temp.folder())
  domain = await (await opened(vms.uri)).lookupByName('vm0')
})

/** The failure as libvirt's numbers and words. */
function refusal(virCode: number, virDomain: number, message: string | RegExp) {
  const wanted = typeof message === 'string' ? message : expect.stringMatching(message)
  return { virCode, virDomain, message: wanted }
}

describe('a pull of a domain', () => {
  test('fills the image, sends the event, and empties the chain in the XML', async () => {
    const connection = await opened(vms.uri)
    const events: BlockJobEvent[] = []
    connection.on('blockJob', (event) => events.push(event))
    const job = await (await connection.lookupByName('vm0')).blockPull('vda')
    expect(await job.done).toMatchObject({ state: 'completed', released: [vms.middle, vms.base], warnings: [] })
    expect(events).toEqual([
      {
        domain: { name: 'vm0', uuid: domain.uuid },
        target: 'vda',
        path: vms.top,
        type: 1,
        status: 0,
        error: null,
      },
    ])
    expect((await info(vms.top))['backing-filename']).toBeUndefined()
    expect((await check(vms.top)).code).toBe(0)
    expect(vms.read('vm0')).toBe(vms.xml('vm0', vms.disk('<backingStore/>')))
  })

  test('to a base keeps the base, in the image and in the XML', async () => {
    for (const name of ['vda[2]', 'base.qcow2', 'by its path']) {
      vms = await VmFolder.make(temp.folder())
      const base = name === 'by its path' ? vms.base : name
      const vm0 = await (await opened(vms.uri)).lookupByName('vm0')
      const job = await vm0.blockPull('vda', { base })
      expect(await job.done).toMatchObject({ released: [vms.middle] })
      expect(await info(vms.top)).toMatchObject({ 'backing-filename': 'base.qcow2' })
      expect(vms.read('vm0')).toBe(vms.xml('vm0', vms.disk(vms.lower)))
    }
  })

  test('does not change XML that states no chain', async () => {
    vms.write('vm0', vms.disk(''))
    const job = await domain.blockPull(vms.top)
    await job.done
    expect(vms.read('vm0')).toBe(vms.xml('vm0', vms.disk('')))
  })

  test('warns on a completed job when the XML cannot be rewritten', async () => {
    const job = await domain.blockPull('vda', slowly)
    vms.write('vm0', '<unclosed>')
    job.setBandwidth('0')
    const { state, released, warnings } = await job.done
    expect({ state, released }).toEqual({ state: 'completed', released: [] })
    expect(warnings).toEqual([
      expect.stringContaining("domain XML of 'vm0' was not updated"),
      expect.stringMatching(/cannot be read may need them: .*vm0\.xml/),
    ])
  })

  test('that is aborted is reported as such, and the XML stays', async () => {
    const before = vms.read('vm0')
    const connection = await opened(vms.uri)
    const events: BlockJobEvent[] = []
    connection.on('blockJob', (event) => events.push(event))
    const job = await (await connection.lookupByName('vm0')).blockPull('vda', slowly)
    await domain.blockJobAbort('vda')
    await expect(job.done).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(events).toMatchObject([{ type: 1, status: 2, error: { code: 'CANCELLED' } }])
    expect(vms.read('vm0')).toBe(before)
  })

  test('is refused on a disk that has a job, whoever started it', async () => {
    const busy = { code: 'JOB_ACTIVE', ...refusal(84, 10, /^Operation not supported: disk 'vda' already in active/) }
    const job = await domain.blockPull('vda', slowly)
    await expect(domain.blockPull('vda')).rejects.toMatchObject(busy)
    const other = await (await opened(vms.uri)).lookupByName('vm0')
    await expect(other.blockPull(vms.top)).rejects.toMatchObject(busy)
    await job.abort()
  })

  test('is refused for the name of a layer or of no disk', async () => {
    for (const disk of ['', 'vdb', 'vda[1]', vms.base]) {
      const wanted = refusal(8, 10, `invalid argument: disk '${disk}' not found in domain`)
      await expect(domain.blockPull(disk)).rejects.toMatchObject({ code: 'NO_DISK', ...wanted })
    }
  })

  test('is refused for a base that is not beneath the image', async () => {
    const refused = (base: string, message: string) =>
      expect(domain.blockPull('vda', { base })).rejects.toMatchObject({
        code: 'NO_BASE',
        ...refusal(8, 18, `invalid argument: ${message}`),
      })
    await refused('x.qcow2', `could not find image 'x.qcow2' beneath '${vms.top}' in chain for 'vda'`)
    await refused(vms.top, `could not find image '${vms.top}' beneath '${vms.top}' in chain for 'vda'`)
    await refused('vda[3]', "could not find backing store index '3' in chain for 'vda'")
    await refused('hda[1]', "requested target 'hda' does not match target 'vda'")
  })

  test('is refused if the XML states no format, and the error says what to add', async () => {
    vms.write('vm0', vms.disk('').replace(" type='qcow2'", ''))
    await expect(domain.blockPull('vda')).rejects.toMatchObject({
      code: 'FORMAT_UNKNOWN',
      ...refusal(67, 18, /states no format in its domain's XML; add/),
    })
  })

  test('is left to QEMU while a monitor listens, and done here once none does', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined)).listen(vms.file('vm0.qmp'))
    await new Promise((resolve) => server.once('listening', resolve))
    const running = await (await opened(vms.uri, { monitorTimeouts: { connect: 100 } })).lookupByName('vm0')
    expect(running.state).toBe('running')
    await expect(running.blockPull('vda')).rejects.toMatchObject({
      code: 'MONITOR_BUSY',
      retryable: true,
      ...refusal(87, 10, /vm0\.qmp' sent no greeting in 100 ms: another program is connected to it, or QEMU hangs/),
    })
    await expect(running.plan('vda')).rejects.toMatchObject({ code: 'MONITOR_BUSY' })
    await new Promise((resolve) => server.close(resolve))
    const job = await running.blockPull('vda')
    await job.done
  })

  test('is refused on a read-only connection, which may still query', async () => {
    const vm0 = await (await opened(vms.uri, { readOnly: true })).lookupByName('vm0')
    const denied = (call: string) => refusal(29, 20, `operation forbidden: read only access prevents ${call}`)
    await expect(vm0.blockPull('nonsense')).rejects.toMatchObject(denied('virDomainBlockPull'))
    await expect(vm0.blockJobAbort('vda')).rejects.toMatchObject(denied('virDomainBlockJobAbort'))
    await expect(vm0.blockJobSetSpeed('vda', '1MiB/s')).rejects.toMatchObject(denied('virDomainBlockJobSetSpeed'))
    expect(await vm0.blockJobInfo('vda')).toBeNull()
  })

  test('is planned without being made', async () => {
    const plan = await domain.plan('vda', { bandwidth: '1MiB/s' })
    expect(plan).toMatchObject({ bytesToMove: 4 << 20, seconds: 4, refusals: [], released: [vms.middle, vms.base] })
    expect((await info(vms.top))['backing-filename']).toBe('mid.qcow2')
  })
})

describe('the job of a disk', () => {
  test('shows type, limit and a cur that is never end', async () => {
    expect(await domain.blockJobInfo('vda')).toBeNull()
    const job = await domain.blockPull('vda', slowly)
    const shown = await domain.blockJobInfo(vms.top)
    expect(shown).toMatchObject({ type: 1, bandwidth: 256 << 10 })
    expect(shown?.cur).toBeLessThan(shown?.end ?? 0)
    await job.abort()
    expect(await domain.blockJobInfo('vda')).toBeNull()
  })

  test('takes a new limit, at once and from another connection', async () => {
    const job = await domain.blockPull('vda', slowly)
    await domain.blockJobSetSpeed('vda', { bytesPerSecond: 5 })
    expect(await domain.blockJobInfo('vda')).toMatchObject({ bandwidth: 5 })
    const other = await (await opened(vms.uri)).lookupByName('vm0')
    await other.blockJobSetSpeed('vda', '0')
    expect((await job.done).state).toBe('completed')
  })

  test('that does not exist cannot be aborted or limited', async () => {
    const none = { code: 'NO_JOB', ...refusal(8, 10, 'invalid argument: disk vda does not have an active block job') }
    await expect(domain.blockJobAbort('vda')).rejects.toMatchObject(none)
    await expect(domain.blockJobSetSpeed(vms.top, '1MiB/s')).rejects.toMatchObject(none)
  })

  test('is aborted once: a second abort says that it is ending', async () => {
    const job = await domain.blockPull('vda', slowly)
    const both = await Promise.allSettled([domain.blockJobAbort('vda'), domain.blockJobAbort('vda')])
    const rejected = both.filter((each) => each.status === 'rejected')
    const outcome = await job.abort()
    expect(outcome.state).toBe('cancelled')
    expect(rejected).toHaveLength(1)
    // The second finds the job ending, or gone already.
    expect(rejected[0]?.reason).toMatchObject({
      message: expect.stringMatching(/block job on disk 'vda' is still being ended|does not have an active block job/),
    })
  })
})

describe('domains', () => {
  test('are found by name and UUID, and listed', async () => {
    const connection = await opened(vms.uri)
    vms.write('vm1', '')
    expect((await connection.listAllDomains()).map(({ name }) => name)).toEqual(['vm0', 'vm1'])
    expect(await connection.lookupByUUID(domain.uuid.toUpperCase())).toMatchObject({ name: 'vm0', state: 'shut off' })
    // As the XML states them for layers below.
    const backingFormats = Object.fromEntries(
      ['mid', 'base'].map((name) => [vms.top.replace(/top\.qcow2$/, `${name}.qcow2`), 'qcow2']),
    )
    expect(domain.disks).toEqual([{ target: 'vda', source: vms.top, format: 'qcow2', backingFormats }])
    expect(await domain.xml()).toBe(vms.read('vm0'))
  })

  test('that do not exist get libvirt’s answers', async () => {
    const connection = await opened(vms.uri)
    const none = { code: 'NO_DOMAIN', ...refusal(42, 10, "Domain not found: no domain with matching name 'x'") }
    await expect(connection.lookupByName('x')).rejects.toMatchObject(none)
    await expect(connection.lookupByName('../vm0')).rejects.toMatchObject({ code: 'NO_DOMAIN' })
    const garbage = { code: 'INVALID_ARGUMENT', ...refusal(8, 20, 'Invalid UUID') }
    await expect(connection.lookupByUUID('garbage')).rejects.toMatchObject(garbage)
    await expect(connection.lookupByUUID('0'.repeat(32))).rejects.toMatchObject({ code: 'NO_DOMAIN', virCode: 42 })
  })

  test('are defined as files', async () => {
    const connection = await opened(vms.uri)
    const xml = vms.xml('vm7', '')
    expect(await connection.defineXML(xml)).toMatchObject({ name: 'vm7' })
    expect(vms.read('vm7')).toBe(xml)
    await expect(connection.defineXML('<domain>')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', virCode: 27 })
  })

  test('described in code need no folder', async () => {
    const disks = [{ target: 'sda', source: vms.top, format: 'qcow2' }]
    const connection = await opened({ domains: [{ name: 'a', disks }] })
    const a = await connection.lookupByName('a')
    expect(await a.xml()).toContain(`<source file="${vms.top}"`)
    const job = await a.blockPull('sda')
    expect(await job.done).toMatchObject({ state: 'completed' })
  })
})

test('a URI of another driver has libvirt’s answer', async () => {
  await expect(connect('qemu:///system')).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    ...refusal(5, 0, /^no connection driver available for qemu:\/\/\/system/),
  })
  await expect(connect(`qemu:///embed?root=${temp.file('none')}`)).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('backing files outside the folders that are allowed are refused', async () => {
  const connection = await opened(vms.uri, { backingPaths: [temp.folder()] })
  const vm0 = await connection.lookupByName('vm0')
  await expect(vm0.blockPull('vda')).rejects.toMatchObject({ code: 'POLICY', virCode: 88 })
})
