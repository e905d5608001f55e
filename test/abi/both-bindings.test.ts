// SPDX-License-Identifier: Apache-2.0
//
// libvirt's public layer is one for both bindings: the same calls through C and through TypeScript give the same
// answers and the same errors, code, domain, level and message. Each row is a call by name; both sides make all rows
// of a table on one connection, in order.

import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { BlockPullError } from '../../lib/index.js'
import * as virt from '../../lib/libvirt.js'
import { VmFolder } from '../addon/vm-folder.js'
import { TempFolder } from '../support/temp-folder.js'
import { compile, onOurs } from './c-program.js'

const temp = new TempFolder('both-bindings')
const program = temp.file('calls-by-name')
let vms: VmFolder

beforeAll(async () => {
  await compile('calls-by-name', program)
  vms = await VmFolder.make(temp.folder())
  writeFileSync(vms.file('broken.xml'), '<domain>')
})
afterAll(() => temp.remove())

type Call = readonly [name: string, ...words: (string | number | null)[]]

interface Answer {
  readonly result: unknown
  readonly error: {
    readonly code: number
    readonly domain: number
    readonly level: number
    readonly message: string
  } | null
}

/** Calls that give -1 in C where they fail; the others give null. */
const failedInt = new Set([
  'virDomainBlockPull',
  'virDomainBlockRebase',
  'virDomainBlockJobSetSpeed',
  'virDomainBlockJobAbort',
  'register',
  'register-of-domain',
  'register-elsewhere',
  'virConnectDomainEventDeregisterAny',
])

async function fromC(mode: string, uri: string, domain: string, calls: readonly Call[]): Promise<Answer[]> {
  const lines = calls.map((words) => `${words.map((word) => word ?? '-').join('\t')}\n`).join('')
  const table = temp.file('calls')
  writeFileSync(table, lines)
  const { stdout, stderr, code } = await onOurs(program, mode, uri, domain, table)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Answer)
}

async function answerOf(name: string, call: () => unknown): Promise<Answer> {
  try {
    return { result: await call(), error: null }
  } catch (error) {
    if (!BlockPullError.is(error)) throw error
    const { virCode: code, virDomain: domain, virLevel: level, message } = error
    return { result: failedInt.has(name) ? -1 : null, error: { code, domain, level, message } }
  }
}

const onEvent = (): void => undefined

/** The calls of calls-by-name.c, in the same words. */
function inTypeScript(
  conn: virt.VirConnect,
  other: virt.VirConnect,
  dom: virt.VirDomain,
): Readonly<Record<string, (...words: string[]) => unknown>> {
  const named = async (found: Promise<virt.VirDomain>) => virt.virDomainGetName(await found)
  return {
    virDomainLookupByName: (name = '') => named(virt.virDomainLookupByName(conn, name)),
    virDomainLookupByUUIDString: (uuid = '') => named(virt.virDomainLookupByUUIDString(conn, uuid)),
    virDomainDefineXML: (xml = '') => named(virt.virDomainDefineXML(conn, xml)),
    virDomainGetXMLDesc: (flags) => virt.virDomainGetXMLDesc(dom, Number(flags)),
    virDomainGetName: () => virt.virDomainGetName(dom),
    virDomainGetUUIDString: () => virt.virDomainGetUUIDString(dom),
    virDomainGetID: () => virt.virDomainGetID(dom),
    virConnectListAllDomains: async (flags) =>
      (await virt.virConnectListAllDomains(conn, Number(flags))).map((domain) => virt.virDomainGetName(domain)),
    virDomainGetBlockJobInfo: (disk = '', flags) => virt.virDomainGetBlockJobInfo(dom, disk, Number(flags)),
    virDomainBlockPull: (disk = '', bandwidth = '0', flags) =>
      virt.virDomainBlockPull(dom, disk, BigInt(bandwidth), Number(flags)),
    virDomainBlockRebase: (disk = '', base = '-', bandwidth = '0', flags) =>
      virt.virDomainBlockRebase(dom, disk, base === '-' ? null : base, BigInt(bandwidth), Number(flags)),
    virDomainBlockJobSetSpeed: (disk = '', bandwidth = '0', flags) =>
      virt.virDomainBlockJobSetSpeed(dom, disk, BigInt(bandwidth), Number(flags)),
    virDomainBlockJobAbort: (disk = '', flags) => virt.virDomainBlockJobAbort(dom, disk, Number(flags)),
    register: (event) => virt.virConnectDomainEventRegisterAny(conn, null, Number(event), onEvent),
    'register-of-domain': (event) => virt.virConnectDomainEventRegisterAny(conn, dom, Number(event), onEvent),
    'register-elsewhere': (event) => virt.virConnectDomainEventRegisterAny(other, dom, Number(event), onEvent),
    virConnectDomainEventDeregisterAny: (id) => virt.virConnectDomainEventDeregisterAny(conn, Number(id)),
  }
}

async function fromTypeScript(mode: string, uri: string, domain: string, calls: readonly Call[]): Promise<Answer[]> {
  const open = mode === 'ro' ? virt.virConnectOpenReadOnly : virt.virConnectOpen
  const conn = await open(uri)
  const other = await open(uri)
  const made = inTypeScript(conn, other, await virt.virDomainLookupByName(conn, domain))
  const answers: Answer[] = []
  for (const [name, ...words] of calls) {
    answers.push(await answerOf(name, () => made[name]?.(...words.map((word) => `${word ?? '-'}`))))
  }
  await virt.virConnectClose(other)
  await virt.virConnectClose(conn)
  return answers
}

/** Both answer alike; `least` errors are among the answers, so that a table of nothing is none. */
async function expectAlike(mode: string, calls: readonly Call[], least: number): Promise<void> {
  const inC = await fromC(mode, vms.uri, 'vm0', calls)
  const inTs = await fromTypeScript(mode, vms.uri, 'vm0', calls)
  expect(inTs.map((answer, row) => ({ call: calls[row], ...answer }))).toEqual(
    inC.map((answer, row) => ({ call: calls[row], ...answer })),
  )
  expect(inC).toHaveLength(calls.length)
  expect(inC.filter(({ error }) => error !== null).length).toBeGreaterThanOrEqual(least)
}

const uriVariables = ['BLOCKPULL_URI', 'LIBVIRT_DEFAULT_URI']
const uuid = 'c7a5fdbd-edaf-9455-926a-d65c16db1809'

describe('C and TypeScript answer alike', () => {
  test('about domains', async () => {
    await expectAlike(
      'rw',
      [
        ['virDomainGetName'],
        ['virDomainGetID'],
        ['virDomainGetUUIDString'],
        ['virDomainLookupByName', 'vm0'],
        ['virDomainLookupByName', 'nobody'],
        ['virDomainLookupByName', 'broken'],
        ['virDomainLookupByUUIDString', 'garbage'],
        ['virDomainLookupByUUIDString', uuid],
        ['virDomainLookupByUUIDString', uuid.toUpperCase()],
        ['virDomainLookupByUUIDString', uuid.replaceAll('-', '')],
        ...[0, 1, 2, 4, 8, 15, 16, 0x80000000].map((flags): Call => ['virDomainGetXMLDesc', flags]),
        ...[0, 1, 2, 3, 4, 0x80000001].map((flags): Call => ['virConnectListAllDomains', flags]),
        ['virDomainDefineXML', '<nonsense/>'],
        ['virDomainDefineXML', '<domain>'],
      ],
      8,
    )
  })

  test('about what a read-only connection refuses', async () => {
    await expectAlike(
      'ro',
      [
        ['virDomainGetXMLDesc', 0],
        ['virDomainGetXMLDesc', virt.VIR_DOMAIN_XML_SECURE],
        ['virDomainGetXMLDesc', 17],
        ['virDomainDefineXML', '<domain/>'],
        ['virDomainBlockPull', 'none', 0, 1],
        ['virDomainBlockRebase', 'none', null, 0, 1],
        ['virDomainBlockJobSetSpeed', 'none', 0, 2],
        ['virDomainBlockJobAbort', 'none', 4],
        ['virDomainGetBlockJobInfo', 'none', 2],
        ['virDomainGetBlockJobInfo', 'none', 0],
        ['virDomainGetBlockJobInfo', 'vda', 0],
        ['virConnectListAllDomains', 0],
        ['register', 8],
      ],
      9,
    )
  })

  test('about the block jobs of disks', async () => {
    const { VIR_DOMAIN_BLOCK_REBASE_COPY: copy, VIR_DOMAIN_BLOCK_REBASE_RELATIVE: relative } = virt
    await expectAlike(
      'rw',
      [
        ...['vda', vms.top, 'vdb', ''].map((disk): Call => ['virDomainGetBlockJobInfo', disk || '/none', 0]),
        ['virDomainGetBlockJobInfo', 'vda', 2],
        ...[1, 64, 128].map((flags): Call => ['virDomainBlockPull', 'none', 0, flags]),
        ['virDomainBlockPull', 'vda', 8796093022208, 0],
        ['virDomainBlockPull', 'vda', '9223372036854775808', 64],
        ...[1, 2, 4, 32, copy, relative, 128].map((flags): Call => ['virDomainBlockRebase', 'vda', null, 0, flags]),
        ['virDomainBlockRebase', 'vda', 'x', 0, copy],
        ['virDomainBlockRebase', 'vda', '/none', 0, 0],
        ['virDomainBlockRebase', 'vda', 'vda[9]', 0, 0],
        ['virDomainBlockJobSetSpeed', 'vda', 1, 0],
        ['virDomainBlockJobSetSpeed', 'vda', 1, 2],
        ['virDomainBlockJobSetSpeed', 'none', 8796093022208, 0],
        ...[0, 1, 2, 4].map((flags): Call => ['virDomainBlockJobAbort', 'vda', flags]),
        ['virDomainBlockJobAbort', 'none', 0],
      ],
      20,
    )
  })

  test('about registrations for events', async () => {
    await expectAlike(
      'rw',
      [
        ['register', 8],
        ['register', 8],
        ['register-of-domain', 8],
        ['register-of-domain', 8],
        ['register', 16],
        ...[-1, 0, 7, 27, 28, 1000].map((event): Call => ['register', event]),
        ['register-elsewhere', 8],
        ['register-elsewhere', 99],
        ...[-1, 9, 0, 0].map((id): Call => ['virConnectDomainEventDeregisterAny', id]),
        ['register', 8],
      ],
      12,
    )
  })

  test('an environment that throws fails the call that reads it, and no other', async () => {
    const before = process.env
    onTestFinished(() => {
      process.env = before
    })
    process.env = new Proxy(
      {},
      {
        get: () => {
          throw new Error('mine')
        },
      },
    )
    await expect(virt.virConnectOpen(null)).rejects.toThrow('mine')
    await virt.virConnectClose(await virt.virConnectOpen(vms.uri))
  })

  test('about a connection without a URI', async () => {
    for (const name of uriVariables) vi.stubEnv(name, '')
    onTestFinished(() => void vi.unstubAllEnvs())
    const inTs = [await answerOf('virConnectOpen', () => virt.virConnectOpen(null))]
    expect(inTs[0]?.error).toMatchObject({ code: virt.VIR_ERR_NO_CONNECT, level: 2 })
    expect(await fromC('rw', '-', 'vm0', [])).toEqual(inTs)
    for (const name of uriVariables) {
      vi.stubEnv(name, vms.uri)
      const conn = await virt.virConnectOpen()
      expect(await virt.virConnectListAllDomains(conn)).toHaveLength(2)
      await virt.virConnectClose(conn)
      expect(await fromC('rw', '-', 'vm0', [['virDomainGetName']])).toEqual([{ result: 'vm0', error: null }])
      vi.stubEnv(name, '')
    }
  })
})
