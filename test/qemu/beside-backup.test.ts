// SPDX-License-Identifier: Apache-2.0
//
// Jobs of other programs on the very disk that is pulled, with a real QEMU. It lets one kind go on beside ours: a
// backup of the disk that has begun before. The backup puts a filter between the guest and the disk, which saves the
// old bytes before the guest writes; what the pull copies changes nothing of what is read, and so nothing of the
// backup. Everything else it refuses, whichever comes first.

import { copyFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { makeChain, pathAt } from '../support/images/stream-case.js'
import { blockdevArgs, LiveDisk } from '../support/qemu/live-disk.js'
import { difference, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('beside-backup')
afterAll(() => temp.remove())

const slow = { bytesPerSecond: 1 << 16 }
const device = '/machine/peripheral/virtio-disk0/virtio-backend'

/** 4 MiB: 2 of them in layer0, 1 in layer1, half of one and another in layer2, the top; and an image for a backup. */
async function startDisk(topFile?: object) {
  const folder = temp.folder()
  const chain = await makeChain(
    folder,
    { size: '4M', io: ['write -P 1 0 2M'] },
    { size: '4M', io: ['write -P 2 2M 1M'] },
    { size: '4M', io: ['write -P 3 512k 1M', 'write -P 4 3M 512k'] },
  )
  const target = `${folder}/target`
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'layer1', '-F', 'qcow2', target, '4M')
  const diskArgs = blockdevArgs(chain).map((arg) => {
    if (topFile === undefined || !arg.includes('"node-name":"layer2"')) return arg
    const node = JSON.parse(arg)
    return JSON.stringify({ ...node, file: { ...topFile, image: node.file } })
  })
  // As libvirt opens a target: without what its header names below.
  const file = { driver: 'file', filename: target }
  const node = JSON.stringify({ driver: 'qcow2', 'node-name': 'target', backing: null, file })
  const live = await LiveDisk.start(chain, { diskArgs, args: ['-blockdev', node] })
  const before = `${folder}/before.raw`
  copyFileSync(before, `${folder}/backup.raw`)
  const client = await live.client()
  return {
    live,
    client,
    domain: await live.domain(),
    begin: (command: string, args: object) => client.execute(command, { 'job-id': 'theirs', speed: 1 << 16, ...args }),
    /** The guest writes, and the disk is expected to read so. */
    write: async (command: string) => {
      const line = `qemu-io -d ${device} "${command}"`
      expect(await client.execute('human-monitor-command', { 'command-line': line })).toBe('')
      await qemuIo(before, 'raw', command)
    },
    ids: async () => (await live.jobs()).map(({ id }) => id.replace(/-.*/, '')),
    /** What is wrong with the backup, QEMU being gone. */
    backupDiffers: () => difference(`${folder}/backup.raw`, target),
  }
}

describe('a backup that began before', () => {
  test.each(['full', 'top'])('continues beside a pull that ends first, and is correct (sync: %s)', async (sync) => {
    const { live, client, domain, begin, write, ids, backupDiffers } = await startDisk()
    await begin('blockdev-backup', { device: 'layer2', target: 'target', sync })
    await write('write -P 7 1M 128k')
    const job = await domain.blockPull('vda', slow)
    await write('write -P 8 2560k 128k')
    await write('write -P 9 3M 64k')
    job.setBandwidth('0')
    expect(await job.done).toMatchObject({
      state: 'completed',
      released: [pathAt(live.chain, 1), pathAt(live.chain, 2)],
    })
    expect(await ids()).toEqual(['theirs'])
    await write('write -P 10 128k 64k')
    await client.execute('block-job-set-speed', { device: 'theirs', speed: 0 })
    await expect.poll(ids).toEqual([])
    await live.shutOff()
    expect(await live.complaints(null)).toEqual([])
    expect(await backupDiffers()).toBeNull()
  })

  test('may end while the pull continues', async () => {
    const { live, client, domain, begin, write, ids, backupDiffers } = await startDisk()
    await begin('blockdev-backup', { device: 'layer2', target: 'target', sync: 'full' })
    const job = await domain.blockPull('vda', slow)
    await write('write -P 8 2560k 128k')
    await client.execute('block-job-set-speed', { device: 'theirs', speed: 0 })
    await expect.poll(ids).toEqual(['blockpull'])
    await write('write -P 9 3M 64k')
    job.setBandwidth('0')
    expect(await job.done).toMatchObject({ state: 'completed' })
    await live.shutOff()
    expect(await live.complaints(null)).toEqual([])
    expect(await backupDiffers()).toBeNull()
  })

  test('does not hide the file from the flush: a failure there ends the pull', async () => {
    const fault = { event: 'none', iotype: 'flush', errno: 5 }
    const { live, domain, begin, ids } = await startDisk({ driver: 'blkdebug', 'inject-error': [fault] })
    await begin('blockdev-backup', { device: 'layer2', target: 'target', sync: 'full' })
    const job = await domain.blockPull('vda')
    await expect(job.done).rejects.toMatchObject({ code: 'IO' })
    expect(await ids()).toEqual(['theirs'])
    await live.qemu.kill()
    expect(await live.complaints(pathAt(live.chain, 1), true)).toEqual([])
  })
})

describe('a job of another program', () => {
  test.each([
    ['mirror', 'blockdev-mirror', { device: 'layer2', target: 'target', sync: 'full' }],
    ['commit', 'block-commit', { device: 'layer2', 'base-node': 'layer1' }],
    ['commit', 'block-commit', { device: 'layer2', 'top-node': 'layer1', 'base-node': 'layer0' }],
    ['backup', 'blockdev-backup', { device: 'layer1', target: 'target', sync: 'full' }],
  ])('(%s, by %s of %j) makes QEMU refuse the pull, which works once it is gone', async (type, command, args) => {
    const { live, client, domain, begin, ids } = await startDisk()
    await begin(command, args)
    // Of a mirror QEMU is not asked, as it may end over that.
    const asked = `is busy: block device is in use by block job: ${type}`
    const hint = expect.stringMatching(type === 'mirror' ? /job 'theirs' mirrors .*layer2/ : asked)
    await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'JOB_ACTIVE', hint })
    expect(await ids()).toEqual(['theirs'])
    await client.execute('block-job-cancel', { device: 'theirs', force: true })
    await expect.poll(ids).toEqual([])
    expect(await (await domain.blockPull('vda')).done).toMatchObject({ state: 'completed' })
    await live.shutOff()
    expect(await live.complaints(null)).toEqual([])
  })

  test('cannot start beside a pull', async () => {
    const { live, domain, begin } = await startDisk()
    const job = await domain.blockPull('vda', slow)
    const backup = begin('blockdev-backup', { device: 'layer2', target: 'target', sync: 'full' })
    await expect(backup).rejects.toThrow('is busy: block device is in use by block job: stream')
    job.setBandwidth('0')
    await job.done
    await live.shutOff()
    expect(await live.complaints(null)).toEqual([])
  })
})

/** A disk that an I/O thread serves, over `node`, and a target for a mirror of it. */
async function startThreaded(node: string, ...options: readonly string[]) {
  const folder = temp.folder()
  const chain = await makeChain(folder, { size: '1M', io: ['write -P 1 0 1M'] }, { size: '1M' })
  await qemuImg('create', '-q', '-f', 'qcow2', `${folder}/target`, '1M')
  const target = { driver: 'qcow2', 'node-name': 'target', file: { driver: 'file', filename: `${folder}/target` } }
  const diskArgs = [
    ...blockdevArgs(chain).slice(0, -2),
    ...options,
    ...['-object', 'iothread,id=thread', '-device', 'virtio-scsi-pci,iothread=thread'],
    ...['-device', `scsi-hd,id=virtio-disk0,drive=${node}`, '-blockdev', JSON.stringify(target)],
  ]
  const live = await LiveDisk.start(chain, { diskArgs })
  const client = await live.client()
  const domain = await live.domain()
  const mirror = () =>
    client.execute('blockdev-mirror', { 'job-id': 'theirs', device: node, target: 'target', sync: 'top' })
  return { folder, live, client, domain, mirror }
}

test('a mirror that starts during a pull, on a filter above: the job waits at pending for its end', async () => {
  const filter = { driver: 'throttle', 'node-name': 'filter', 'throttle-group': 'group', file: 'layer1' }
  const group = ['-object', 'throttle-group,id=group', '-blockdev', JSON.stringify(filter)]
  const { live, client, domain, mirror } = await startThreaded('filter', ...group)
  const job = await domain.blockPull('vda', slow)
  await mirror()
  await domain.blockJobSetSpeed('vda', '0')
  const ours = async () => (await live.jobs()).find(({ id }) => id.startsWith('blockpull-'))?.status
  await expect.poll(ours).toBe('pending')
  // Two looks at the job, and it is left where it is.
  await new Promise((resolve) => setTimeout(resolve, 1200))
  expect(await ours()).toBe('pending')
  await client.execute('block-job-cancel', { device: 'theirs' })
  expect(await job.done).toMatchObject({ state: 'completed', verified: true })
  await live.shutOff()
  expect(await live.complaints(null)).toEqual([])
})

test('a mirror of a disk in an I/O thread: even a pull that has nothing to move is refused', async () => {
  const { folder, live, domain, mirror } = await startThreaded('layer1')
  await mirror()
  await expect(domain.blockPull('vda', { base: `${folder}/layer0` })).rejects.toMatchObject({
    code: 'JOB_ACTIVE',
    hint: expect.stringMatching(/job 'theirs' mirrors '.*layer1'.*wait for its end/),
  })
  expect((await live.jobs()).map(({ id }) => id)).toEqual(['theirs'])
})
