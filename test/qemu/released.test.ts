// SPDX-License-Identifier: Apache-2.0
//
// What a pull says is released where guests run: not what another disk of the same QEMU has, nor a domain of the
// connection, whether its QEMU tells of it or its XML. test/pull/released.test.ts has the rest.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Connection, connect } from '../../lib/index.js'
import { type CaseChain, chainOf, makeChain } from '../support/images/stream-case.js'
import { blockdevArgs, driveArgs } from '../support/qemu/live-disk.js'
import { startQemu } from '../support/qemu/start-qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('released')
afterAll(() => temp.remove())

/** a stands on mid and base, b on base. */
async function twoChains() {
  const folder = temp.folder()
  const base = { name: 'base', size: '4M', io: ['write -P 5 0 2M'] }
  await makeChain(folder, base, { name: 'b', size: '4M' })
  await makeChain(folder, base, { name: 'mid', size: '4M', io: ['write -P 6 2M 1M'] }, { name: 'a', size: '4M' })
  const [a, b] = [chainOf(folder, 'a', 'mid', 'base'), chainOf(folder, 'b', 'base')]
  return { folder, a, b, mid: join(folder, 'mid'), base: join(folder, 'base') }
}

/** DIR/NAME.xml with a disk for each chain. */
function define(folder: string, name: string, ...chains: readonly CaseChain[]): void {
  const disks = chains.map(({ top }, index) => {
    const target = `vd${String.fromCharCode(97 + index)}`
    return `<disk type='file'><driver type='qcow2'/><source file='${top}'/><target dev='${target}'/></disk>`
  })
  writeFileSync(
    join(folder, `${name}.xml`),
    `<domain type='kvm'><name>${name}</name><devices>${disks.join('')}</devices></domain>`,
  )
}

/** A guest whose monitor is DIR/NAME.qmp. */
async function run(folder: string, name: string, ...args: readonly string[]) {
  const own = join(folder, `${name}-qemu`)
  mkdirSync(own)
  const qemu = await startQemu({ folder: own, machine: 'q35', monitors: 1, args: [...args] })
  symlinkSync(qemu.socket, join(folder, `${name}.qmp`))
  return qemu
}

async function connected(folder: string): Promise<Connection> {
  const connection = await connect(`qemu:///embed?root=${encodeURIComponent(folder)}`)
  onTestFinished(() => connection.close())
  return connection
}

async function pulled(connection: Connection, name: string, disk: string) {
  const job = await (await connection.lookupByName(name)).blockPull(disk)
  return await job.done
}

const completed = { state: 'completed', warnings: [] }

describe('a base that two disks stand on', () => {
  test('of one guest is released by the later pull', async () => {
    const { folder, a, b, mid, base } = await twoChains()
    define(folder, 'vm0', a, b)
    await run(folder, 'vm0', ...driveArgs(a, 'one'), ...driveArgs(b, 'two'))
    const connection = await connected(folder)
    expect(await pulled(connection, 'vm0', 'vda')).toMatchObject({ ...completed, released: [mid] })
    expect(await pulled(connection, 'vm0', 'vdb')).toMatchObject({ ...completed, released: [base] })
  })

  test.each([1, 2, 3])('of one guest, pulled at once, is released by only one, %#', async () => {
    const { folder, a, b, mid, base } = await twoChains()
    define(folder, 'vm0', a, b)
    await run(folder, 'vm0', ...driveArgs(a, 'one'), ...driveArgs(b, 'two'))
    const connection = await connected(folder)
    const ends = await Promise.all(['vda', 'vdb'].map((disk) => pulled(connection, 'vm0', disk)))
    expect(ends.flatMap(({ released }) => released).toSorted()).toEqual([base, mid].toSorted())
  })

  test('of two guests is released by the later pull', async () => {
    const { folder, a, b, mid, base } = await twoChains()
    define(folder, 'vm0', a)
    await run(folder, 'vm0', ...blockdevArgs(a))
    await run(folder, 'vm1', ...driveArgs(b, 'drive0'))
    const connection = await connected(folder)
    expect(await pulled(connection, 'vm0', 'vda')).toMatchObject({ ...completed, released: [mid] })
    expect(await pulled(connection, 'vm1', b.top)).toMatchObject({ ...completed, released: [base] })
  })

  test('of a guest and of a shut-off domain is released by the later pull', async () => {
    const { folder, a, b, mid, base } = await twoChains()
    define(folder, 'vm0', a)
    define(folder, 'vm1', b)
    await run(folder, 'vm0', ...blockdevArgs(a))
    const connection = await connected(folder)
    expect(await pulled(connection, 'vm0', 'vda')).toMatchObject({ ...completed, released: [mid] })
    expect(await pulled(connection, 'vm1', 'vda')).toMatchObject({ ...completed, released: [base] })
  })

  test('of a shut-off domain and of a guest is released by the later pull', async () => {
    const { folder, a, b, mid, base } = await twoChains()
    define(folder, 'vm0', a)
    await run(folder, 'vm1', ...driveArgs(b, 'drive0'))
    const connection = await connected(folder)
    expect(await pulled(connection, 'vm0', 'vda')).toMatchObject({ ...completed, released: [mid] })
    expect(await pulled(connection, 'vm1', b.top)).toMatchObject({ ...completed, released: [base] })
  })
})

test('a layer that is also a disk of the guest is kept', async () => {
  const { folder, a } = await twoChains()
  define(folder, 'vm0', a)
  const second = ['-device', 'virtio-blk-pci,drive=mid,id=second']
  await run(folder, 'vm0', ...blockdevArgs(a), ...second)
  expect(await pulled(await connected(folder), 'vm0', 'vda')).toMatchObject({ ...completed, released: [] })
})

test('a guest that names its images relative to its folder is known by that folder', async () => {
  const { folder, a } = await twoChains()
  define(folder, 'vm0', a)
  const own = join(folder, 'vm1-qemu')
  mkdirSync(own)
  const relative = ['-drive', 'if=none,id=drive0,file=b,format=qcow2']
  const qemu = await startQemu({ folder: own, cwd: folder, machine: 'q35', monitors: 1, args: relative })
  symlinkSync(qemu.socket, join(folder, 'vm1.qmp'))
  const { released, warnings } = await pulled(await connected(folder), 'vm0', 'vda')
  expect(released).toEqual([join(folder, 'mid')])
  expect(warnings).toEqual([])
})
