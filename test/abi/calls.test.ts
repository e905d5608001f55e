// SPDX-License-Identifier: Apache-2.0
//
// C programs on our libvirt.so.0. Where libvirt's own library says the same whatever driver is below, it is the
// judge: the program runs on it too, with libvirt's test driver. With BLOCKPULL_ASAN_SHIM, as `npm run test:asan`
// runs it, a memory error or a leak of ours fails these tests as well.

import { copyFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { VmFolder } from '../addon/vm-folder.js'
import { makeChain, pulled } from '../support/images/stream-case.js'
import { check, difference, flatten } from '../support/qemu/qemu.js'
import type { QemuProcess } from '../support/qemu/qemu-process.mjs'
import { startQemu } from '../support/qemu/start-qemu.js'
import { TempFolder } from '../support/temp-folder.js'
import { compile, onOurs, onTheirs } from './c-program.js'

const temp = new TempFolder('abi')
const programs = new Map<string, string>()
const names = ['entry-checks', 'driver-errors', 'pull-and-watch', 'leave', 'fork', 'threads', 'callbacks']

beforeAll(async () => {
  for (const name of names) programs.set(name, await compile(name, temp.file(name)))
})
afterAll(() => temp.remove())

const program = (name: string): string => programs.get(name) ?? ''
const lines = (...of: readonly string[]): string => of.map((line) => `${line}\n`).join('')

interface Fields {
  readonly code: number
  readonly domain: number
  readonly message: string
  readonly str1: string
  readonly str2: string
  readonly ints: string
}

/** The line of a call that failed. */
function failed(call: string, result: number, { code, domain, message, str1, str2, ints }: Fields): string {
  const texts = `'${message}' str1 '${str1}' str2 '${str2}' str3 '(null)'`
  return `${call} = ${result}; 1 times: code ${code} domain ${domain} level 2 ${texts} ints ${ints}`
}

/** libvirt's "report": what was formatted, and from what. */
function report(code: number, domain: number, prefix: string, detail: string, int1 = -1): Fields {
  return { code, domain, message: prefix + detail, str1: `${prefix}%s`, str2: detail, ints: `${int1} -1` }
}

/** libvirt's "argument check": which argument of which function. */
function argument(domain: number, name: string, of: string, message: string): Fields {
  return { code: 8, domain, message, str1: of, str2: name, ints: '0 0' }
}

test('entry points refuse, count and report errors as libvirt’s do', async () => {
  const vms = await VmFolder.make(temp.folder())
  vms.write('test', vms.disk(''))
  const theirs = await onTheirs(program('entry-checks'), 'test:///default', 'test')
  expect(theirs).toMatchObject({ code: 0, stderr: expect.stringContaining('libvirt: Domain error : invalid domain') })
  expect(theirs.stdout.split('\n').length).toBeGreaterThan(75)
  expect(await onOurs(program('entry-checks'), vms.uri, 'test')).toEqual(theirs)
})

test('what the driver refuses has the fields that libvirt gives it', async () => {
  const vms = await VmFolder.make(temp.folder())
  const { code, stdout, stderr } = await onOurs(program('driver-errors'), vms.uri, 'vm0')
  const invalid = (detail: string, domain = 10) => report(8, domain, 'invalid argument: ', detail)
  const flags = (of: string, bits: string) => argument(10, 'flags', of, `unsupported flags (${bits}) in function ${of}`)
  const unsupported = (of: string) => report(3, 20, 'this function is not supported by the connection driver: ', of)
  const noDomain = (detail: string) => report(42, 10, 'Domain not found: ', detail)
  const tooFast = report(82, 10, 'numerical overflow: ', 'bandwidth must be less than 8796093022207')
  const noJob = invalid('disk vda does not have an active block job')
  const noDisk = invalid("disk 'vdz' not found in domain")
  const noLoop = 'no event loop is registered; call virEventRegisterDefaultImpl first'
  const relative = 'flag VIR_DOMAIN_BLOCK_REBASE_RELATIVE is valid only with non-null base'
  const register = 'virConnectDomainEventRegisterAny'
  const scheme = "noscheme; this library serves 'qemu:///embed?root=DIR'"
  const uuid = 'c7a5fdbd-edaf-9455-926a-d65c16db1809'
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout.split('\n')).toEqual([
    failed('virConnectOpen("noscheme")', 0, report(5, 0, 'no connection driver available for ', scheme)),
    failed(
      'virConnectOpen("qemu:///embed?root=/nowhere")',
      0,
      report(38, 18, '', "opendir of '/nowhere' failed: No such file or directory", 2),
    ),
    failed('virDomainLookupByName(conn, "nobody")', 0, noDomain("no domain with matching name 'nobody'")),
    failed(`virDomainLookupByUUIDString(conn, "${uuid}")`, 0, noDomain(`no domain with matching uuid '${uuid}'`)),
    failed('virDomainGetXMLDesc(dom, 1U << 10)', 0, flags('qemuDomainGetXMLDesc', '0x400')),
    failed('virDomainBlockPull(dom, "vda", 0, 1)', -1, flags('qemuDomainBlockPull', '0x1')),
    failed('virDomainBlockPull(dom, "vdz", 0, 0)', -1, noDisk),
    failed('virDomainBlockPull(dom, "", 0, 0)', -1, invalid("disk '' not found in domain")),
    failed('virDomainBlockPull(dom, "vda", 8796093022208UL, 0)', -1, tooFast),
    failed(
      'virDomainBlockPull(dom, "vda", 1UL << 63, VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES)',
      -1,
      report(1, 0, 'internal error: ', "argument key 'speed' must not be negative"),
    ),
    failed(
      'virDomainBlockRebase(dom, "vda", "vda[9]", 0, 0)',
      -1,
      invalid("could not find backing store index '9' in chain for 'vda'", 18),
    ),
    failed('virDomainBlockRebase(dom, "vda", NULL, 0, VIR_DOMAIN_BLOCK_REBASE_RELATIVE)', -1, invalid(relative)),
    failed('virDomainBlockJobAbort(dom, "vda", 0)', -1, noJob),
    failed('virDomainBlockJobSetSpeed(dom, "vda", 1, 0)', -1, noJob),
    failed('virDomainBlockJobSetSpeed(dom, "vdz", 8796093022208UL, 0)', -1, tooFast),
    failed('virDomainGetBlockJobInfo(dom, "vdz", &info, 0)', -1, noDisk),
    failed('virDomainGetBlockJobInfo(dom, "vda", &info, 2)', -1, flags('qemuDomainGetBlockJobInfo', '0x2')),
    'virDomainGetBlockJobInfo(dom, "vda", &info, 0) = 0',
    failed('virEventRunDefaultImpl()', -1, report(1, 0, 'internal error: ', noLoop)),
    'virEventRegisterDefaultImpl() = 0',
    failed(
      `${register}(conn, NULL, 28, on_event, NULL, NULL)`,
      -1,
      argument(20, 'eventID', register, 'eventID must be less than 28'),
    ),
    failed(`${register}(conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_event, NULL, NULL)`, -1, unsupported(register)),
    failed(
      'virConnectDomainEventDeregisterAny(conn, 7)',
      -1,
      report(8, 0, 'invalid argument: ', 'event callback id 7 not registered'),
    ),
    failed('virDomainSuspend(dom)', -1, unsupported('virDomainSuspend')),
    failed('virDomainGetOSType(dom)', 0, unsupported('virDomainGetOSType')),
    failed('virDomainGetMaxMemory(dom)', 0, unsupported('virDomainGetMaxMemory')),
    'virDomainFree(dom) = 0',
    'virConnectClose(conn) = 0',
    '',
  ])
})

/** A QEMU that has vm0's disk open and never runs a guest, on the domain's monitor. */
async function startGuest(folder: string, vms: VmFolder): Promise<QemuProcess> {
  const drive = `if=none,id=drive0,format=qcow2,file=${vms.top}`
  const qemu = await startQemu({ folder, args: ['-drive', drive] })
  renameSync(qemu.socket, vms.file('vm0.qmp'))
  return qemu
}

test('the calls of libvirt-qemu.so.0 and libvirt-lxc.so.0 fail as where a driver of libvirt lacks them', async () => {
  const beside = await compile('beside', temp.file('beside'), '-lvirt-qemu', '-lvirt-lxc')
  const vms = await VmFolder.make(temp.folder())
  const theirs = await onTheirs(beside, 'test:///default', 'test')
  expect(theirs.stdout.match(/: code 3 domain 0 /g)).toHaveLength(7)
  expect(await onOurs(beside, vms.uri, 'vm0')).toEqual(theirs)
  const entering = ['virDomainLxcEnterNamespace', 'virDomainLxcEnterSecurityLabel', 'virDomainLxcEnterCGroup']
  const unsupported = (call: string) =>
    failed(call, -1, report(3, 0, 'this function is not supported by the connection driver: ', call))
  const all = await onOurs(beside, vms.uri, 'vm0', 'enter')
  expect(all).toEqual({ code: 0, stderr: '', stdout: theirs.stdout + lines(...entering.map(unsupported)) })
})

test.each([
  ['shut off', -1],
  ['running', 1],
])('a program pulls, queries, aborts and pulls again, and gets events 8 and 16 each time: %s', async (state, id) => {
  const folder = temp.folder()
  const vms = await VmFolder.make(folder)
  vms.write('vm0', vms.disk(vms.chain.replace('<backingStore/>', '')))
  const before = temp.file(`before-${id}.raw`)
  await flatten(vms.top, before)
  const bytes = 'VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES'
  const busy = report(84, 10, 'Operation not supported: ', "disk 'vda' already in active block job")
  const heard = (status: number) => [
    `event 8: top.qcow2 of 'vm0', type 1, status ${status}`,
    `event 16: vda of 'vm0', type 1, status ${status}`,
  ]
  const register = (dom: string, id: string, name: string, result: number) =>
    `virConnectDomainEventRegisterAny(conn, ${dom}, VIR_DOMAIN_EVENT_ID_${id}, ` +
    `VIR_DOMAIN_EVENT_CALLBACK(on_block_job), "${name}", on_free) = ${result}`
  const guest = state === 'running' ? await startGuest(folder, vms) : null
  expect(await onOurs(program('pull-and-watch'), vms.uri)).toEqual({
    code: 0,
    stderr: '',
    stdout: lines(
      'virEventRegisterDefaultImpl() = 0',
      'virDomainGetUUIDString(dom, uuid) = 0',
      `'vm0' has id ${id}`,
      'virDomainFree(same) = 0',
      register('dom', 'BLOCK_JOB', 'event 8', 0),
      register('NULL', 'BLOCK_JOB_2', 'event 16', 1),
      `virDomainBlockPull(dom, "vda", 262144, ${bytes}) = 0`,
      failed('virDomainBlockPull(dom, "vda", 0, 0)', -1, busy),
      'virDomainGetBlockJobInfo(dom, "vda", &info, bytes) = 1',
      'type 1, bandwidth 262144, end 4194304',
      'virDomainBlockJobSetSpeed(dom, "vda", 524288, VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES) = 0',
      'virDomainGetBlockJobInfo(dom, "vda", &info, bytes) = 1',
      'bandwidth 524288',
      'virDomainGetBlockJobInfo(dom, "vda", &info, 0) = 1',
      'bandwidth 1 MiB/s',
      'moving: yes',
      'virDomainBlockJobAbort(dom, "vda", 0) = 0',
      'virDomainGetBlockJobInfo(dom, "vda", &info, 0) = 0',
      'type 0, bandwidth 0, cur 0, end 0',
      ...heard(2),
      'virDomainBlockRebase(dom, "vda", "vda[2]", 0, 0) = 0',
      ...heard(0),
      'virDomainBlockPull(dom, "vda", 0, 0) = 0',
      ...heard(0),
      'chain in the XML: ended',
      'virConnectRef(conn) = 0',
      'virConnectClose(conn) = 1',
      'freed event 8',
      'virConnectDomainEventDeregisterAny(conn, 0) = 0',
      'freed event 16',
      'virConnectDomainEventDeregisterAny(conn, 1) = 0',
      'virDomainFree(dom) = 0',
      'virConnectClose(conn) = 0',
    ),
  })
  await guest?.kill()
  expect(await difference(before, vms.top)).toBeNull()
  expect((await check(vms.top)).code).toBe(0)
})

test('callbacks may come and go, start jobs and release the connection during an event', async () => {
  const vms = await VmFolder.make(temp.folder())
  const unknown = report(8, 0, 'invalid argument: ', 'event callback id 1 not registered')
  expect(await onOurs(program('callbacks'), vms.uri)).toEqual({
    code: 0,
    stderr: '',
    stdout: lines(
      'virDomainBlockPull(dom, "vda", 0, 0) = 0',
      "first is told of 'top.qcow2'",
      'virConnectDomainEventDeregisterAny(conn, ids[0]) = 0',
      'virConnectDomainEventDeregisterAny(conn, ids[1]) = 0',
      failed('virConnectDomainEventDeregisterAny(conn, ids[1])', -1, unknown),
      'virDomainBlockPull(dom, "vda", 0, 0) = 0',
      "third is told of 'top.qcow2'",
      'freed first',
      'freed second',
      'the second pull',
      "third is told of 'top.qcow2'",
      "late is told of 'top.qcow2'",
      'freed third',
      'virDomainBlockPull(dom, "vda", 0, 0) = 0',
      'virDomainFree(dom) = 0',
      "late is told of 'top.qcow2'",
      "last is told of 'vda'",
      'virConnectDomainEventDeregisterAny(conn, ids[2]) = 0',
      'virConnectDomainEventDeregisterAny(conn, ids[3]) = 0',
      'virDomainBlockPull(dom, "vda", 0, 0) = 0',
      'virConnectClose(conn) = 1',
      'freed late',
      'freed last',
    ),
  })
})

describe('a program that exits while its pull runs', () => {
  test.each([
    ['return', ''],
    ['exit', 'virConnectClose(conn) = 1\n'],
    ['close', 'virConnectClose(conn) = 0\n'],
  ])('exits at once and leaves an image that can be pulled again: %s', async (how, said) => {
    const vms = await VmFolder.make(temp.folder())
    const started = 'virDomainBlockPull(dom, "vda", 262144, VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES) = 0\n'
    expect(await onOurs(program('leave'), vms.uri, how)).toEqual({ code: 0, stderr: '', stdout: started + said })
    const { code, report: found } = await check(vms.top)
    expect([0, 3], found).toContain(code)
    expect(await pulled(vms.top)).toMatchObject({ state: 'completed' })
  })
})

test('in a child of fork() every call fails and none hangs, and the parent continues', async () => {
  const vms = await VmFolder.make(temp.folder())
  // A child that leaves is no place to look for leaks: AddressSanitizer would wait for the threads of its parent.
  const options = 'ASAN_OPTIONS=detect_leaks=0'
  expect(await onOurs('env', options, program('fork'), vms.uri)).toEqual({
    code: 0,
    stderr: '',
    stdout: lines(
      'virInitialize() = 0',
      'dom = 1',
      'child exited with 0',
      'virDomainBlockPull(dom, "vda", 262144, VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES) = 0',
      'in the child 23 failed and 0 did not',
      'child exited with 0',
      'virDomainBlockJobAbort(dom, "vda", 0) = 0',
      'virDomainFree(dom) = 0',
      'virConnectClose(conn) = 0',
      'dom = 1',
      'child exited with 0',
    ),
  })
})

test('threads share a connection, open their own, and each has its own last error', async () => {
  const folder = temp.folder()
  const chain = await makeChain(folder, { size: '4M', io: ['write -P 1 0 4M'] }, { name: 'vm0.qcow2', size: '4M' })
  for (const name of ['vm0', 'vm1', 'vm2', 'vm3']) {
    const image = join(folder, `${name}.qcow2`)
    if (image !== chain.top) copyFileSync(chain.top, image)
    const disk = `<disk type='file'><driver type='qcow2'/><source file='${image}'/><target dev='vda'/></disk>`
    const xml = `<domain type='kvm'><name>${name}</name><devices>${disk}</devices></domain>`
    writeFileSync(join(folder, `${name}.xml`), xml)
  }
  const uri = `qemu:///embed?root=${encodeURIComponent(folder)}`
  const stdout = '80 events, 0 problems, close 0\n'
  expect(await onOurs(program('threads'), uri)).toEqual({ code: 0, stderr: '', stdout })
})

test('without a handler an error goes to stderr, and a NULL name means the URI of the environment', async () => {
  const source = join(temp.folder(), 'plain.c')
  writeFileSync(
    source,
    `#include <libvirt/libvirt.h>
     int main(void) { virConnectPtr conn = virConnectOpen(0); if (conn == 0) return 9;
       virDomainLookupByName(conn, "nobody"); return virConnectClose(conn); }`,
  )
  const vms = await VmFolder.make(temp.folder())
  const plain = await compile(source.replace(/\.c$/, ''), temp.file('plain'))
  const { code, stderr } = await onOurs('env', '-u', 'BLOCKPULL_URI', `LIBVIRT_DEFAULT_URI=${vms.uri}`, plain)
  const message = "Domain not found: no domain with matching name 'nobody'"
  expect({ code, stderr }).toEqual({ code: 0, stderr: `libvirt: QEMU Driver error : ${message}\n` })
  const none = await onOurs('env', '-u', 'BLOCKPULL_URI', '-u', 'LIBVIRT_DEFAULT_URI', plain)
  expect(none).toMatchObject({
    code: 9,
    stderr: expect.stringMatching(/ no connection driver .* an empty URI; name one/),
  })
})
