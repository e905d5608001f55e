// SPDX-License-Identifier: Apache-2.0
//
// What a pull of a shut-off disk says is released: what the image no longer needs and nobody known needs. Known are
// the domains of the connection, the images that this process has open, and the folders that the caller names. Who
// cannot be asked may need anything, and is named. test/qemu/released.test.ts does the same with guests that run.

import { linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { connect, type Domain, digestImage, plan, pullImage } from '../../lib/index.js'
import { digestOf } from '../support/images/files.js'
import { makeChain, pulled } from '../support/images/stream-case.js'
import { blockpull } from '../support/processes/command.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('released')
afterAll(() => temp.remove())

/** a and b stand on base, a by way of mid; the paths of all of them. */
async function twoOverlays() {
  const folder = temp.folder()
  const base = { name: 'base', size: '4M', io: ['write -P 5 0 2M'] }
  await makeChain(folder, base, { name: 'b', size: '4M' })
  await makeChain(folder, base, { name: 'mid', size: '4M', io: ['write -P 6 2M 1M'] }, { name: 'a', size: '4M' })
  const at = (name: string) => join(folder, name)
  return { folder, a: at('a'), b: at('b'), mid: at('mid'), base: at('base') }
}

/** DIR/NAME.xml with a disk for each source: vda, vdb, … */
function define(folder: string, name: string, ...sources: readonly string[]): void {
  const disks = sources.map((source, index) => {
    const target = `vd${String.fromCharCode(97 + index)}`
    const driver = "<driver name='qemu' type='qcow2'/>"
    return `<disk type='file'>${driver}<source file='${source}'/><target dev='${target}'/></disk>`
  })
  const xml = `<domain type='kvm'><name>${name}</name><devices>${disks.join('')}</devices></domain>`
  writeFileSync(join(folder, `${name}.xml`), xml)
}

async function domainIn(folder: string, name = 'vm0'): Promise<Domain> {
  const connection = await connect(`qemu:///embed?root=${encodeURIComponent(folder)}`)
  onTestFinished(() => connection.close())
  return await connection.lookupByName(name)
}

async function pulledDisk(domain: Domain, disk = 'vda', siblings?: readonly string[]) {
  const job = await domain.blockPull(disk, { siblings })
  return await job.done
}

/** A monitor that accepts and never says a word. */
async function muteMonitor(path: string): Promise<void> {
  const server = createServer(() => undefined)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(() => void server.close())
}

describe('a base that two disks stand on', () => {
  test('of one domain is released by the later pull', async () => {
    const { folder, a, b, mid, base } = await twoOverlays()
    define(folder, 'vm0', a, b)
    const domain = await domainIn(folder)
    const whole = { state: 'completed', verified: true, durable: true, warnings: [] }
    expect(await pulledDisk(domain)).toEqual(expect.objectContaining({ ...whole, released: [mid] }))
    expect(await pulledDisk(domain, 'vdb')).toEqual(expect.objectContaining({ ...whole, released: [base] }))
  })

  test('of two domains is released by neither while the other one needs it', async () => {
    const { folder, a, b, mid, base } = await twoOverlays()
    define(folder, 'vm0', a)
    define(folder, 'vm1', b)
    expect(await pulledDisk(await domainIn(folder))).toMatchObject({ released: [mid], warnings: [] })
    rmSync(join(folder, 'vm0.xml'))
    expect(await pulledDisk(await domainIn(folder, 'vm1'))).toMatchObject({ released: [base], warnings: [] })
  })

  test.each([1, 2, 3])('and that are pulled at once is released by only one, %#', async () => {
    const { folder, a, b, mid, base } = await twoOverlays()
    define(folder, 'vm0', a, b)
    const domain = await domainIn(folder)
    const ends = await Promise.all([pulledDisk(domain, 'vda'), pulledDisk(domain, 'vdb')])
    expect(ends.flatMap(({ released }) => released).toSorted()).toEqual([base, mid].toSorted())
  })

  test('of images that are pulled at once, without a connection, is released by only one', async () => {
    const { a, b, mid, base } = await twoOverlays()
    const jobs = await Promise.all([pullImage(a, { bandwidth: '8MiB/s' }), pullImage(b, { bandwidth: '8MiB/s' })])
    const ends = await Promise.all(jobs.map(({ done }) => done))
    expect(ends.flatMap(({ released }) => released).toSorted()).toEqual([base, mid].toSorted())
  })

  test('is kept while this process still pulls the other disk', async () => {
    const { folder, a, b, mid } = await twoOverlays()
    const slow = await pullImage(b, { bandwidth: '64KiB/s' })
    expect(await pulled(a)).toMatchObject({ released: [mid], warnings: [] })
    await slow.abort()
    expect(await digestImage(join(folder, 'b'))).toMatchObject({ bytes: 4 << 20 })
  })
})

describe('a chain that cannot be read may need any file', () => {
  test('a domain whose XML is broken', async () => {
    const { folder, a } = await twoOverlays()
    define(folder, 'vm0', a)
    const domain = await domainIn(folder)
    writeFileSync(join(folder, 'torn.xml'), '<domain><name>torn</na')
    const { state, released, warnings } = await pulledDisk(domain)
    expect({ state, released }).toEqual({ state: 'completed', released: [] })
    expect(warnings).toEqual([expect.stringMatching(/cannot be read may need them: .*torn\.xml/)])
  })

  test('a domain whose disk is not there', async () => {
    const { folder, a } = await twoOverlays()
    define(folder, 'vm0', a)
    define(folder, 'vm1', join(folder, 'none'))
    const { released, warnings } = await pulledDisk(await domainIn(folder))
    expect(released).toEqual([])
    expect(warnings).toEqual([expect.stringMatching(/disk 'vda' of domain 'vm1': .*none/)])
  })

  test('a guest whose monitor is mute', async () => {
    const { folder, a } = await twoOverlays()
    define(folder, 'vm0', a)
    const domain = await domainIn(folder)
    await muteMonitor(join(folder, 'mute.qmp'))
    const { released, warnings } = await pulledDisk(domain)
    expect(released).toEqual([])
    expect(warnings).toEqual([expect.stringContaining("domain 'mute': its monitor has not answered within 4 s")])
  })

  test('a sibling whose chain is torn', async () => {
    const { folder, a, b } = await twoOverlays()
    const shelf = join(folder, 'shelf')
    mkdirSync(shelf)
    linkSync(b, join(shelf, 'torn')) // 'base' is looked for beside it
    const { released, warnings } = await pulled(a, { siblings: [shelf] })
    expect(released).toEqual([])
    expect(warnings).toEqual([expect.stringMatching(/sibling '.*shelf\/torn': .*base/)])
  })
})

describe('siblings', () => {
  test('keep the files below them, but the image itself and its own layers do not', async () => {
    const { folder, a, b, mid, base } = await twoOverlays()
    linkSync(a, join(folder, 'a-again'))
    expect(await pulled(a, { siblings: [folder] })).toMatchObject({ released: [mid], warnings: [] })
    rmSync(mid)
    expect(await pulled(b, { siblings: [folder] })).toMatchObject({ released: [base], warnings: [] })
  })

  test('are searched for the disk of a domain, too', async () => {
    const { folder, a, mid } = await twoOverlays()
    define(folder, 'vm0', a)
    expect(await pulledDisk(await domainIn(folder), 'vda', [folder])).toMatchObject({ released: [mid] })
  })

  test('that cannot be listed refuse the pull, and nothing is written', async () => {
    const { folder, a } = await twoOverlays()
    define(folder, 'vm0', a)
    const before = digestOf(a)
    const siblings = [join(folder, 'none')]
    const refused = expect.objectContaining({ code: 'NOT_FOUND', path: siblings[0] })
    await expect(pullImage(a, { siblings })).rejects.toEqual(refused)
    await expect(plan(a, { siblings })).rejects.toEqual(refused)
    await expect(pulledDisk(await domainIn(folder), 'vda', siblings)).rejects.toEqual(refused)
    expect(digestOf(a)).toBe(before)
  })
})

describe('a plan', () => {
  test('leaves out what a shut-off domain or a sibling needs', async () => {
    const { folder, a, b, mid, base } = await twoOverlays()
    expect(await plan(a)).toMatchObject({ released: [mid, base] })
    expect(await plan(a, { siblings: [folder] })).toMatchObject({ released: [mid] })
    define(folder, 'vm0', a)
    expect(await (await domainIn(folder)).plan('vda')).toMatchObject({ released: [mid, base] })
    define(folder, 'vm1', b)
    expect(await (await domainIn(folder)).plan('vda')).toMatchObject({ released: [mid] })
  })
})

describe('the command', () => {
  test('names the released files, and says that other images may need them if none were searched', async () => {
    const { folder, a, mid, base } = await twoOverlays()
    expect((await blockpull('pull', '--siblings', folder, '--dry-run', a)).stdout).toContain(
      `  no longer needs    ${mid}\n`,
    )
    const { code, stdout } = await blockpull('pull', a)
    expect(code).toBe(0)
    expect(stdout).toContain(
      `  ${a} no longer needs ${mid}\n  ${a} no longer needs ${base}\n  other images may; --siblings DIR checks them\n`,
    )
  })

  test('takes --siblings more than once, and reports only what was requested', async () => {
    const { folder, a, mid } = await twoOverlays()
    const empty = join(folder, 'empty')
    mkdirSync(empty)
    const { code, stdout } = await blockpull('pull', '--siblings', empty, '--siblings', folder, a)
    expect(code).toBe(0)
    expect(stdout.split('\n').slice(1)).toEqual([`  ${a} no longer needs ${mid}`, ''])
  })
})
