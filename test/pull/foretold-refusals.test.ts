// SPDX-License-Identifier: Apache-2.0
//
// What a plan says first is what the pull says, of an image and of a domain's disk that is shut off: one code and one
// sentence, also where two things are wrong at once. What refusals.test.ts has is asked there.

import { chmodSync, readdirSync, rmSync, truncateSync } from 'node:fs'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { type ConnectOptions, connect, type PlanOptions, plan, pullImage } from '../../lib/index.js'
import { slowly, VmFolder } from '../addon/vm-folder.js'
import { digestsOf } from '../support/images/files.js'
import { expectSameRefusal } from '../support/images/same-refusal.js'
import { blockpull, unprivilegedBlockpull } from '../support/processes/command.js'
import { qemuImg } from '../support/qemu/qemu.js'
import { QemuHolder } from '../support/qemu/qemu-holder.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('foretold')
afterAll(() => temp.remove())

const makeFolder = () => VmFolder.make(temp.folder())

async function hold(path: string, how: 'read-write' | 'read-only' = 'read-write'): Promise<void> {
  const holder = await QemuHolder.open(path, how)
  onTestFinished(() => holder.close())
}

/** What a pull cannot fill yet. */
async function snapshotOfAnotherSize(path: string): Promise<void> {
  await qemuImg('snapshot', '-c', 's', path)
  await qemuImg('resize', '-q', '-f', 'qcow2', path, '+1M')
}

async function pullSlowly(path: string): Promise<void> {
  const job = await pullImage(path, slowly)
  onTestFinished(async () => void (await job.abort()))
}

/** What is made wrong, the pull that is asked for, and what both are refused with. */
interface Case {
  readonly break: (vms: VmFolder) => unknown
  readonly options?: PlanOptions
  readonly code: string
  readonly also?: string
}

/** By what is wrong with the image or its chain. */
const images: Readonly<Record<string, Case>> = {
  'a writer of the active image': { break: (vms) => hold(vms.top), code: 'LOCKED' },
  'a reader of the active image': { break: (vms) => hold(vms.top, 'read-only'), code: 'LOCKED' },
  'a writer of a backing file': { break: (vms) => hold(vms.middle), code: 'LOCKED' },
  'a writer, before a backing file that is missing': {
    break: async (vms) => {
      await hold(vms.top)
      rmSync(vms.base)
    },
    code: 'LOCKED',
  },
  'a writer of the middle, before the base that is missing': {
    break: async (vms) => {
      await hold(vms.middle)
      rmSync(vms.base)
    },
    code: 'LOCKED',
  },
  'a writer, before a header that is cut short': {
    break: async (vms) => {
      await hold(vms.top)
      truncateSync(vms.top, 72)
    },
    code: 'LOCKED',
  },
  'a writer, before a base that is not there': {
    break: (vms) => hold(vms.top),
    options: { base: '/nowhere' },
    code: 'LOCKED',
  },
  'a writer, before a snapshot of another size': {
    break: async (vms) => {
      await snapshotOfAnotherSize(vms.top)
      await hold(vms.top)
    },
    code: 'LOCKED',
    also: 'FEATURE_UNSUPPORTED',
  },
  'a job of this process': { break: (vms) => pullSlowly(vms.top), code: 'JOB_ACTIVE' },
  'a job of this process, before a base that is not there': {
    break: (vms) => pullSlowly(vms.top),
    options: { base: '/nowhere' },
    code: 'JOB_ACTIVE',
  },
  'a job of this process on the image below': { break: (vms) => pullSlowly(vms.middle), code: 'LOCKED' },
  'a base that is not there, before a snapshot of another size': {
    break: (vms) => snapshotOfAnotherSize(vms.top),
    options: { base: '/nowhere' },
    code: 'NO_BASE',
  },
  'a snapshot of another size': { break: (vms) => snapshotOfAnotherSize(vms.top), code: 'FEATURE_UNSUPPORTED' },
  'an image that is missing': { break: (vms) => rmSync(vms.top), code: 'NOT_FOUND' },
  'a backing file that is missing': { break: (vms) => rmSync(vms.middle), code: 'NOT_FOUND' },
  'a loop': {
    break: (vms) => qemuImg('rebase', '-u', '-f', 'qcow2', '-b', 'top.qcow2', '-F', 'qcow2', vms.base),
    code: 'CHAIN_LOOP',
  },
}

/** By what is wrong with the domain's disk, or with how it is named. */
const disks: Readonly<Record<string, Case & { readonly disk?: string; readonly access?: ConnectOptions }>> = {
  'no such disk': { break: () => undefined, disk: 'vdb', code: 'NO_DISK' },
  'no such disk, before the base of another one': {
    break: () => undefined,
    disk: 'vdb',
    options: { base: 'vda[1]' },
    code: 'NO_DISK',
  },
  'a base of another disk': { break: () => undefined, options: { base: 'hda[1]' }, code: 'NO_BASE' },
  'a chain that is not so deep': { break: () => undefined, options: { base: 'vda[3]' }, code: 'NO_BASE' },
  'a base that is not there': { break: () => undefined, options: { base: 'x.qcow2' }, code: 'NO_BASE' },
  'a disk on the sd bus': {
    break: (vms) => vms.write('vm0', vms.disk('', "<target dev='vda' bus='sd'/>")),
    options: { base: 'hda[1]' },
    code: 'UNSUPPORTED',
  },
  'a transient disk': {
    break: (vms) => vms.write('vm0', vms.disk('<transient/>')),
    code: 'UNSUPPORTED',
  },
  'an empty drive': {
    break: (vms) => vms.write('vm0', "<disk type='file' device='cdrom'><target dev='vda'/></disk>"),
    code: 'UNSUPPORTED',
  },
  'a disk of the network': {
    break: (vms) => vms.write('vm0', vms.disk('').replace("type='file'", "type='network'")),
    code: 'UNSUPPORTED',
  },
  'no format': {
    break: (vms) => vms.write('vm0', vms.disk('').replace(" type='qcow2'", '')),
    code: 'FORMAT_UNKNOWN',
  },
  'a format that nobody knows': {
    break: (vms) => vms.write('vm0', vms.disk('').replace(" type='qcow2'", " type='vmdk'")),
    code: 'FEATURE_UNSUPPORTED',
  },
  'a folder that is not allowed': {
    break: () => undefined,
    access: { backingPaths: [import.meta.dirname] },
    code: 'POLICY',
  },
}

/** The files of the folder, with what they hold. */
function filesOf(vms: VmFolder): string {
  return digestsOf(readdirSync(vms.file('.')).map((name) => vms.file(name)))
}

describe('of an image:', () => {
  test.each(Object.entries(images))('%s', async (_, { break: breakIt, options, code, also }) => {
    const vms = await makeFolder()
    await breakIt(vms)
    const error = await expectSameRefusal(
      () => plan(vms.top, options),
      () => pullImage(vms.top, options),
    )
    expect(error.code).toBe(code)
    if (also !== undefined) {
      expect((await plan(vms.top, options)).refusals.map((refusal) => refusal.code)).toEqual([code, also])
    }
  })
})

describe('of a domain’s disk:', () => {
  test.each(Object.entries({ ...images, ...disks }))('%s', async (_, wrong: (typeof disks)[string]) => {
    const { break: breakIt, options, code, disk = 'vda', access = {} } = wrong
    const vms = await makeFolder()
    await breakIt(vms)
    const connection = await connect(vms.uri, access)
    onTestFinished(() => connection.close())
    const domain = await connection.lookupByName('vm0')
    const error = await expectSameRefusal(
      () => domain.plan(disk, options),
      () => domain.blockPull(disk, options),
    )
    expect(error.code).toBe(code)
  })

  test('a job of the connection', async () => {
    const vms = await makeFolder()
    const connection = await connect(vms.uri)
    onTestFinished(() => connection.close())
    const domain = await connection.lookupByName('vm0')
    const job = await domain.blockPull('vda', slowly)
    const error = await expectSameRefusal(
      () => domain.plan('vda', { base: 'hda[1]' }),
      () => domain.blockPull('vda', { base: 'hda[1]' }),
    )
    expect(error.code).toBe('JOB_ACTIVE')
    await job.abort()
  })
})

describe('of the command:', () => {
  test('an image that may be read and not written, with work to do or without', async () => {
    const vms = await makeFolder()
    for (const image of [vms.top, vms.base]) {
      chmodSync(image, 0o444)
      const foretold = await unprivilegedBlockpull('pull', '--dry-run', '--quiet', image)
      const pulled = await unprivilegedBlockpull('pull', '--quiet', image)
      expect(foretold).toEqual(pulled)
      expect(pulled).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot be opened for writing') })
    }
  })

  test('a dry run that finds nothing wrong changes no file, and ends as planned', async () => {
    const vms = await makeFolder()
    const before = filesOf(vms)
    const { code, stdout } = await blockpull('pull', '--dry-run', '--json', vms.top)
    expect({ code, end: JSON.parse(stdout.trim().split('\n').at(-1) ?? '') }).toMatchObject({
      code: 0,
      end: { event: 'end', state: 'planned', code: null, bytesMoved: 0 },
    })
    expect(filesOf(vms)).toBe(before)
  })
})
