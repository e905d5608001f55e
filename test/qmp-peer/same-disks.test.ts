// SPDX-License-Identifier: Apache-2.0
//
// The peer against a real QEMU 7.2, as same-as-qemu.test.ts, where the disk is no plain chain or the guest does not
// just run: filters, a disk over which QEMU has put an image of its own, a job that is paused, a migration, and a
// second look at an image.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { qemuImg, qemuIo } from '../support/qemu/qemu.js'
import type { QmpClient } from '../support/qemu/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { expectTheSame, type Play, type Sides } from './recording.js'
import type { DiskDescription, FilterDescription } from './types.js'

const temp = new TempFolder('same-disks')
const size = 4 * 2 ** 20
const names = ['top', 'middle', 'base'] as const
const slow = { 'job-id': 'j', speed: 65_536, 'auto-finalize': false }

beforeAll(async () => {
  await qemuImg('create', '-q', '-f', 'qcow2', temp.file('base.qcow2'), String(size))
  await qemuIo(temp.file('base.qcow2'), 'qcow2', `write 0 ${size}`)
})
afterAll(() => temp.remove())

/** A folder with the chain, whose headers name what is below relative to themselves. */
async function chain(): Promise<string> {
  const folder = temp.folder()
  for (const [name, backing] of [
    ['middle', '../base.qcow2'],
    ['top', 'middle.qcow2'],
  ]) {
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', `${backing}`, '-F', 'qcow2', `${folder}/${name}.qcow2`)
  }
  return folder
}

const stated = { top: 'middle.qcow2', middle: '../base.qcow2' }

/** Where an image of the chain in this folder is. */
function pathOf(folder: string, name: (typeof names)[number]): string {
  return name === 'base' ? temp.file('base.qcow2') : `${folder}/${name}.qcow2`
}

const throttle: FilterDescription = { filter: 'throttle', nodeName: 'slow' }
const copyOnRead: FilterDescription = { filter: 'copy-on-read', nodeName: 'cor' }
const blkdebug: FilterDescription = { filter: 'blkdebug', nodeName: 'debug' }
const compress: FilterDescription = { filter: 'compress', nodeName: 'packer' }

/** The chain as libvirt opens it, with filters over images; each list is what stands over that one, lowest last. */
async function guest(filters: Partial<Record<(typeof names)[number], readonly FilterDescription[]>>): Promise<Sides> {
  const folder = await chain()
  const blockdevs: object[] = []
  const nodes: DiskDescription['nodes'][number][] = []
  let below: string | null = null
  for (const name of names.toReversed()) {
    const filename = pathOf(folder, name)
    const readOnly = { 'read-only': name !== 'top' }
    const file = { driver: 'file', filename }
    blockdevs.push({ driver: 'qcow2', 'node-name': name, file, backing: below, ...readOnly })
    const backingFilename = name === 'base' ? {} : { backingFilename: stated[name] }
    nodes.unshift({ nodeName: name, filename, virtualSize: size, ...backingFilename })
    below = name
    for (const filter of (filters[name] ?? []).toReversed()) {
      const edge = filter.filter === 'blkdebug' ? 'image' : 'file'
      const group = filter.filter === 'throttle' ? { 'throttle-group': 'tg' } : {}
      blockdevs.push({ driver: filter.filter, 'node-name': filter.nodeName, [edge]: below, ...group, ...readOnly })
      nodes.unshift(filter)
      below = filter.nodeName ?? null
    }
  }
  return {
    ...{ folder, machine: 'q35' },
    args: [
      ...['-object', 'throttle-group,id=tg'],
      ...blockdevs.flatMap((node) => ['-blockdev', JSON.stringify(node)]),
      ...['-device', `virtio-blk-pci,drive=${below},id=disk0`],
    ],
    disks: [{ qdev: '/machine/peripheral/disk0/virtio-backend', nodes }],
  }
}

/** Each level of a disk: its name, what it is, and what it states; from both queries, which must nest alike. */
async function levels(client: QmpClient): Promise<unknown[]> {
  const [device] = await client.execute('query-block')
  const [stats] = await client.execute('query-blockstats')
  const found: unknown[] = [[device.inserted['node-name'], device.inserted.drv, device.inserted.backing_file_depth]]
  let level = stats
  for (let image = device.inserted.image; image !== undefined; image = image['backing-image']) {
    found.push([level?.['node-name'], image.format, optionsIn(image.filename), image['backing-filename']])
    level = level?.backing
  }
  expect(level).toBe(undefined)
  return found
}

/** A name that is made of options is compared as these, in whatever order. */
function optionsIn(filename: string): unknown {
  return filename.startsWith('json:') ? JSON.parse(filename.slice('json:'.length)) : filename
}

describe('filters', () => {
  test.each([
    ['over a disk', { top: [throttle] }],
    ['three over a disk', { top: [blkdebug, copyOnRead, throttle] }],
    ['of two kinds that name themselves otherwise', { top: [blkdebug, compress] }],
    ['right over the image', { top: [blkdebug] }],
    ['between layers', { middle: [throttle] }],
    ['over a disk and between layers', { top: [copyOnRead], middle: [throttle], base: [blkdebug] }],
  ])('%s nest in the same way', async (_where, filters) => {
    const sequence = await expectTheSame(await guest(filters), async ({ client, look, note }) => {
      note(await levels(client))
      await look('query-block', 'query-blockstats', 'query-named-block-nodes')
    })
    expect(sequence).toEqual([])
  })

  test.each([
    ['is told to name is shown', { 'filter-node-name': 'named' }],
    ['has not named is left out', {}],
  ])('that a stream %s', async (_which, named) => {
    const sequence = await expectTheSame(await guest({ top: [throttle] }), async ({ client, note, finish }) => {
      await client.execute('block-stream', { ...slow, ...named, device: 'top' })
      note(await levels(client))
      await finish('j')
      await client.event('BLOCK_JOB_PENDING')
      await client.execute('job-finalize', { id: 'j' })
      note(await levels(client))
    })
    expect(sequence).toContain('reply to job-finalize')
  })
})

test('a disk with snapshot=on has an image that states nothing, over one that does', async () => {
  const folder = await chain()
  const image = (name: (typeof names)[number]) => ({ filename: pathOf(folder, name), virtualSize: size })
  const sides: Sides = {
    folder,
    args: ['-drive', `if=none,id=vda,file=${folder}/top.qcow2,format=qcow2,snapshot=on`],
    disks: [
      {
        device: 'vda',
        nodes: [
          { filename: '/var/tmp/vl.XXXXXX', virtualSize: size, backingFilename: null, noFlush: true },
          { ...image('top'), backingFilename: stated.top },
          { ...image('middle'), backingFilename: stated.middle },
          image('base'),
        ],
      },
    ],
  }
  await expectTheSame(sides, async ({ client, look, note }) => {
    await look('query-block', 'query-blockstats')
    const [{ inserted }] = await client.execute('query-block')
    const { file, backing } = optionsIn(inserted.file) as { file: { driver: string }; backing: object }
    note([file.driver, backing, inserted.backing_file, inserted.backing_file_depth, inserted.cache])
  })
})

test('a second node over an image says what its header states', async () => {
  const sides = await guest({})
  const file = { driver: 'file', filename: pathOf(sides.folder, 'top') }
  const second = { driver: 'qcow2', 'node-name': 'second', file, backing: null }
  await expectTheSame(sides, async ({ client, look, note, refused }) => {
    await client.execute('blockdev-add', { ...second, 'read-only': true, 'force-share': true })
    const nodes: { [member: string]: unknown }[] = await client.execute('query-named-block-nodes', { flat: true })
    const { file, image, ...more } = nodes.find((node) => node['node-name'] === 'second') ?? {}
    const { 'actual-size': _size, filename: name, ...told } = image as { [member: string]: unknown }
    note([optionsIn(String(file)), optionsIn(String(name)), told, more])
    await look('query-block', 'query-blockstats')
    await refused('blockdev-add', { ...second, 'read-only': true, 'force-share': true })
    await client.execute('blockdev-del', { 'node-name': 'second' })
    await refused('blockdev-del', { 'node-name': 'second' })
  })
})

/** A job in the midst of an I/O pauses later; one that waits for its limit pauses at once. */
async function pause({ client }: Play): Promise<void> {
  while ((await client.execute('query-block-jobs'))[0].busy) await new Promise((resolve) => setImmediate(resolve))
  await client.execute('job-pause', { id: 'j' })
}

test('a job is paused and resumed, and at pending it is not, in the same words', async () => {
  const sequence = await expectTheSame(await guest({}), async (play) => {
    const { client, note, look, refused, finish } = play
    await client.execute('block-stream', { ...slow, device: 'top' })
    await pause(play)
    const [{ status, paused, busy }] = await client.execute('query-block-jobs')
    note([status, paused, busy])
    await look('query-jobs', 'query-block-jobs')
    await refused('job-pause', { id: 'j' })
    await client.execute('job-resume', { id: 'j' })
    await refused('job-resume', { id: 'j' })
    await finish('j')
    await client.event('BLOCK_JOB_PENDING')
    await refused('job-pause', { id: 'j' })
    await refused('job-resume', { id: 'j' })
  })
  expect(sequence).toContain('JOB_STATUS_CHANGE paused')
})

describe('a migration', () => {
  const flush = { driver: 'blkdebug', 'node-name': 'f', image: 'top', 'take-child-perms': ['write-unchanged'] }
  const states = ['query-status', 'query-migrate']

  /** What both say of the guest. */
  async function statusOf({ client }: Play): Promise<unknown> {
    return [(await client.execute('query-status')).status, (await client.execute('query-migrate')).status]
  }

  test('leaves a paused job, and images that nobody may write to, until the guest continues', async () => {
    const sequence = await expectTheSame(await guest({}), async (play) => {
      const { client, note, look, refused, migrate } = play
      await look(...states)
      note(await statusOf(play))
      await client.execute('block-stream', { ...slow, device: 'top' })
      await pause(play)
      await migrate()
      await look(...states, 'query-block', 'query-blockstats')
      note(await statusOf(play))
      note((await client.execute('query-block-jobs'))[0].status)
      await refused('blockdev-add', flush)
      await client.execute('job-cancel', { id: 'j' })
      await refused('block-stream', { ...slow, device: 'top' })
      await client.execute('cont')
      note(await statusOf(play))
      await client.execute('blockdev-add', flush)
    })
    expect(sequence).toContain('RESUME')
  })

  test.each([
    ['that ran, stops it', ['cont'], 'STOP'],
    ['that was stopped before, raises nothing', [], 'STOP'],
  ])('of a guest %s', async (_which, commands, event) => {
    const sequence = await expectTheSame(await guest({}), async ({ client, migrate }) => {
      for (const command of commands) await client.execute(command)
      await migrate()
      await client.execute('query-status')
    })
    expect(sequence.filter((entry) => entry === event)).toHaveLength(commands.length)
  })

  test('kills QEMU when a job is finalized after it', async () => {
    await expectTheSame(await guest({}), async ({ client, refused, migrate, finish }) => {
      await client.execute('block-stream', { ...slow, device: 'top' })
      await finish('j')
      await client.event('BLOCK_JOB_PENDING')
      await migrate()
      await refused('job-finalize', { id: 'j' })
      await client.closed
    })
  })
})
