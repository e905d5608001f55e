// SPDX-License-Identifier: Apache-2.0
//
// Names, through the command: formats by file, a base by name, files whose names are no text, and a folder with one
// domain in it that is none.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { connect, digestImage, inspectChain, plan, pullImage } from '../../dist/index.js'
import { makeLinkedImage } from '../support/images/linked-image.js'
import { writeQcow2 } from '../support/images/qcow2-builder.mjs'
import { makeChain } from '../support/images/stream-case.js'
import { blockpull, commandFile, unprivilegedBlockpull } from '../support/processes/command.js'
import { difference, flatten, info, qemuImg } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('names')
afterAll(() => temp.remove())

const size = 4194304

/** Layers whose overlays state no format: top over middle over a raw base. */
async function unstated() {
  const folder = temp.folder()
  await makeChain(folder, { name: 'base', format: 'raw', size: '4M', io: ['write -P 9 0 1M'] })
  const clusters = new Map([[16, { data: Buffer.alloc(65536, 7) }]])
  writeQcow2(`${folder}/middle`, { size, clusters, backingFile: 'base' })
  writeQcow2(`${folder}/top`, { size, backingFile: 'middle' })
  const flat = `${folder}/flat.raw`
  writeQcow2(`${folder}/stated-middle`, { size, clusters, backingFile: 'base', backingFormat: 'raw' })
  await flatten(`${folder}/stated-middle`, flat)
  return { folder, top: `${folder}/top`, flat }
}

function domainXml(name: string, source: string, backing: string) {
  return (
    `<domain><name>${name}</name><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>` +
    `<source file='${source}'/>${backing}<target dev='vda' bus='virtio'/></disk></devices></domain>`
  )
}

function store(file: string, format: string, below = '') {
  return `<backingStore type='file'><format type='${format}'/><source file='${file}'/>${below}</backingStore>`
}

describe('a format that no header states', () => {
  test('without a file applies to one layer, and is refused for two', async () => {
    const { folder, top, flat } = await unstated()
    const bare = await blockpull('pull', top, '--backing-format', 'qcow2')
    expect(bare).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('a format without a file is not enough for two layers'),
    })
    const one = ['--backing-format', `${folder}/middle=qcow2`]
    expect(await blockpull('pull', top, ...one, '--backing-format', 'raw')).toMatchObject({ code: 0 })
    expect(await difference(flat, top)).toBeNull()
  })

  test('is taken from the XML by file, never by position', async () => {
    const { folder, top, flat } = await unstated()
    mkdirSync(`${folder}/domains`)
    symlinkSync('base', `${folder}/other`)
    const uri = `qemu:///embed?root=${folder}/domains`
    // The upper place names the base, by another name.
    writeFileSync(
      `${folder}/domains/vm0.xml`,
      domainXml('vm0', top, store(`${folder}/other`, 'raw', store(`${folder}/middle`, 'qcow2'))),
    )
    expect(await blockpull('list', '-c', uri)).toMatchObject({ code: 0, stdout: expect.stringMatching(/vda +-\n$/) })
    expect(await blockpull('pull', '-c', uri, 'vm0', 'vda')).toMatchObject({ code: 0 })
    expect(await difference(flat, top)).toBeNull()
  })

  test('is taken from the option if the XML does not state the file', async () => {
    const { folder, top, flat } = await unstated()
    mkdirSync(`${folder}/domains`)
    const pull = ['pull', '-c', `qemu:///embed?root=${folder}/domains`, 'vm0', 'vda']
    writeFileSync(`${folder}/domains/vm0.xml`, domainXml('vm0', top, store(`${folder}/middle`, 'qcow2')))
    const refused = await blockpull(...pull)
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('states no format for it') })
    const other = await blockpull(...pull, '--backing-format', `${folder}/middle=raw`)
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('is stated twice') })
    expect(await blockpull(...pull, '--backing-format', `${folder}/base=raw`)).toMatchObject({ code: 0 })
    expect(await difference(flat, top)).toBeNull()
  })

  test('is not raw for a file that begins like an image, unless the caller says so for that file', async () => {
    const { folder, top } = await unstated()
    const formats = { [`${folder}/base`]: 'raw' }
    const bare = inspectChain(top, { backingFormat: 'raw', backingFormats: formats })
    await expect(bare).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN', path: `${folder}/middle` })
    const layers = await inspectChain(top, { backingFormats: { ...formats, [`${folder}/middle`]: 'raw' } })
    expect(layers.map(({ format }) => format)).toEqual(['qcow2', 'raw'])
  })
})

describe('a base', () => {
  test('whose name matches two layers is refused with both', async () => {
    const chain = await makeChain(temp.folder(), { size: '4M' }, { size: '4M' }, { size: '4M' })
    const { folder, top } = chain
    // The middle layer states its backing file by a name that leads elsewhere from here.
    mkdirSync(`${folder}/sub`)
    const twice = 'layer1'
    await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', `${folder}/sub/mid`, '-F', 'qcow2', top)
    writeQcow2(`${folder}/sub/mid`, { size, backingFile: twice, backingFormat: 'qcow2' })
    writeQcow2(`${folder}/sub/${twice}`, { size, backingFile: `${folder}/${twice}`, backingFormat: 'qcow2' })
    const argv = [commandFile, 'pull', top, '--base', twice]
    const { status, stderr } = spawnSync(process.execPath, argv, { cwd: folder, encoding: 'utf8' })
    expect(stderr).toMatch(
      /base 'layer1' matches layer 2 '.*\/sub\/layer1' by its file and layer 3 '.*\/layer1' by its file/,
    )
    expect(status).toBe(1)
    expect(await blockpull('pull', top, '--base', `${folder}/layer1`)).toMatchObject({ code: 0 })
    expect(await info(top)).toMatchObject({ 'full-backing-filename': `${folder}/layer1` })
  })

  test('of an image that was named by a link opens from there and from where the image lies', async () => {
    const folder = temp.folder()
    await flatten(await makeLinkedImage(folder), `${folder}/flat.raw`)
    expect(await blockpull('pull', `${folder}/vm/disk`, '--base', `${folder}/base`)).toMatchObject({ code: 0 })
    for (const name of ['disk', 'snap/1']) {
      expect(await difference(`${folder}/flat.raw`, `${folder}/vm/${name}`)).toBeNull()
    }
    // The way from where the image lies, "../../base", leads nowhere from beside the link.
    expect(await info(`${folder}/vm/snap/1`)).toMatchObject({ 'backing-filename': '../base' })
  })

  test('with an absolute name keeps it, and is refused as a relative one', async () => {
    const folder = temp.folder()
    await makeChain(folder, { name: 'base', size: '4M', io: ['write -P 9 0 1M'] })
    mkdirSync(`${folder}/domains`)
    writeQcow2(`${folder}/middle`, { size, backingFormat: 'qcow2', backingFile: `${folder}/base` })
    writeQcow2(`${folder}/top`, { size, backingFormat: 'qcow2', backingFile: 'middle' })
    writeFileSync(`${folder}/domains/vm0.xml`, domainXml('vm0', `${folder}/top`, ''))
    const connection = await connect(`qemu:///embed?root=${folder}/domains`)
    const domain = await connection.lookupByName('vm0')
    const base = `${folder}/base`
    const relative = domain.blockRebase('vda', { base, relative: true })
    await expect(relative).rejects.toThrow("can't keep relative backing relationship")
    await (await domain.blockPull('vda', { base })).done
    await connection.close()
    expect(await info(`${folder}/top`)).toMatchObject({ 'backing-filename': base })
  })
})

describe('a name that is not valid text', () => {
  const odd = Buffer.from([0x6f, 0xff, 0x0a, 0x1b])

  async function oddOverlay() {
    const chain = await makeChain(temp.folder(), { size: '4M', io: ['write -P 1 0 1M'] }, { size: '4M' })
    const path = Buffer.concat([Buffer.from(`${chain.folder}/`), odd])
    const { sha256 } = await digestImage(chain.top)
    renameSync(chain.top, path)
    return { folder: chain.folder, path, sha256 }
  }

  test('is accepted as Buffer and as URL, and reported with its bytes', async () => {
    const { folder, path, sha256 } = await oddOverlay()
    expect(await digestImage(path)).toMatchObject({ sha256 })
    const [top, base] = await inspectChain(new URL(`file://${folder}/o%ff%0a%1b`))
    expect(top).toMatchObject({ path: `${folder}/o\ufffd\n\u001b`, pathBytes: path.toString('base64') })
    expect(base).toMatchObject({ path: `${folder}/layer0`, pathBytes: null })
    const { released, releasedBytes } = await (await pullImage(path)).done
    expect({ released, releasedBytes }).toEqual({ released: [`${folder}/layer0`], releasedBytes: null })
    expect(await digestImage(path)).toMatchObject({ sha256 })
    const none = Buffer.concat([path, Buffer.from('none')])
    const pathBytes = none.toString('base64')
    await expect(inspectChain(none)).rejects.toMatchObject({ code: 'NOT_FOUND', pathBytes })
  })

  test('of a released file is reported exactly', async () => {
    const folder = temp.folder()
    await makeChain(folder, { name: 'odd0', size: '4M', io: ['write -P 1 0 1M'] })
    writeQcow2(`${folder}/top`, { size, backingFile: 'odd0', backingFormat: 'qcow2' })
    // The same name in length, so that the header can be changed in place.
    const image = readFileSync(`${folder}/top`)
    image.set(odd, image.indexOf('odd0'))
    writeFileSync(`${folder}/top`, image)
    const base = Buffer.concat([Buffer.from(`${folder}/`), odd])
    renameSync(`${folder}/odd0`, base)
    const { releasedBytes } = await plan(`${folder}/top`)
    expect(releasedBytes).toEqual([base.toString('base64')])
    const { stdout } = await blockpull('pull', `${folder}/top`)
    expect(stdout).toContain(` no longer needs ${folder}/o\\xff\\n\\x1b\n`)
  })

  test('is accepted by the command, shown escaped, and exact in JSON', async () => {
    const { folder, path } = await oddOverlay()
    // By a shell, as Node passes strings alone.
    const script = `odd="$3/$(printf 'o\\377\\n\\033')"; "$1" "$2" chain "$odd" $4 && "$1" "$2" pull "$odd"`
    const shell = (...more: string[]) =>
      spawnSync('sh', ['-c', script, 'sh', process.execPath, commandFile, folder, ...more], { encoding: 'utf8' })
    const told = shell('--json')
    expect(told.stderr).toBe('')
    const [layer] = told.stdout.split('\n')
    expect(JSON.parse(layer ?? '')).toMatchObject({ event: 'layer', pathBytes: path.toString('base64') })
    expect(told.stdout).toContain(`${folder}/o\\xff\\n\\x1b: pulled, `)
    expect(shell().stdout).toContain(`${folder}/o\\xff\\n\\x1b  qcow2`)
  })
})

describe('one bad domain', () => {
  async function domains() {
    const { folder, top } = await makeChain(temp.folder(), { size: '4M' }, { size: '4M' })
    mkdirSync(`${folder}/domains`)
    writeFileSync(`${folder}/domains/good.xml`, domainXml('good', top, ''))
    return { folder: `${folder}/domains`, uri: `qemu:///embed?root=${folder}/domains` }
  }

  test.each([
    ['an empty file', ''],
    ['another kind of XML', '<network><name>bad</name></network>'],
    ['a renamed file', '<domain><name>renamed</name></domain>'],
    ['a disk without target', '<domain><name>bad</name><devices><disk/></devices></domain>'],
  ])('is reported beside the others: %s', async (_, xml) => {
    const { folder, uri } = await domains()
    writeFileSync(`${folder}/bad.xml`, xml)
    const listed = await blockpull('list', '-c', uri)
    expect(listed).toMatchObject({ code: 1, stderr: expect.stringMatching(/^blockpull: domain 'bad': .*bad\.xml/) })
    expect(listed.stdout).toMatch(/^bad +no state +- +INVALID_ARGUMENT\ngood +shut off +vda +-$/m)
    const reaped = await blockpull('reap', '-c', uri)
    expect(reaped).toMatchObject({ code: 1, stderr: expect.stringContaining("domain 'bad' cannot be served: ") })
    const told = await blockpull('events', '-c', uri, '--timeout', '1')
    expect(told).toMatchObject({ code: 0, stderr: expect.stringContaining("jobs of domain 'bad' cannot be reported") })
    expect(await blockpull('pull', '-c', uri, 'good', 'vda')).toMatchObject({ code: 0 })
    expect(await blockpull('pull', '-c', uri, 'bad', 'vda')).toMatchObject({ code: 1 })
  })

  test('may be unreadable, a folder, a pipe or a broken link', async () => {
    const { folder, uri } = await domains()
    writeFileSync(`${folder}/secret.xml`, '<domain/>', { mode: 0o000 })
    mkdirSync(`${folder}/folder.xml`)
    spawnSync('mkfifo', [`${folder}/pipe.xml`])
    symlinkSync('nowhere', `${folder}/link.xml`)
    const { code, stdout } = await unprivilegedBlockpull('list', '-c', uri)
    expect(code).toBe(1)
    expect(stdout).toMatch(/^folder +no state +- +UNSUPPORTED\ngood +shut off .*\nlink +no state +- +NOT_FOUND$/m)
    expect(stdout).toMatch(/^pipe +no state +- +UNSUPPORTED\nsecret +no state +- +ACCESS_DENIED$/m)
  })

  test('may have the UUID of another, and then both have an error', async () => {
    const { folder, uri } = await domains()
    const twin = (name: string) =>
      `<domain><name>${name}</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid></domain>`
    for (const name of ['a', 'b']) writeFileSync(`${folder}/${name}.xml`, twin(name))
    const { code, stdout, stderr } = await blockpull('list', '-c', uri)
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("'a' and domain 'b' have the same uuid"),
    })
    expect(stdout).toMatch(/^a +no state .*\nb +no state .*\ngood +shut off/m)
  })
})
