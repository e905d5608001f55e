// SPDX-License-Identifier: Apache-2.0
//
// QEMU's iotest 030 and its neighbours, with the live pull in the place of the test's own block-stream. Each title
// that has a name of QEMU's begins with it; what the engine does in these cases is in test/pull/stream-cases.test.ts.

import { afterAll, describe, expect, test } from 'vitest'
import { type CaseChain, chainOf, makeChain, pathAt } from '../support/images/stream-case.js'
import { blockdevArgs, driveArgs, LiveDisk, type LiveDiskOptions } from '../support/qemu/live-disk.js'
import { expectWhole } from '../support/qemu/live-verdict.js'
import { info, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('live-stream')
afterAll(() => temp.remove())

const styles = ['blockdev', 'drive'] as const
const slow = { bytesPerSecond: 1 << 16 }

/** Iotest 030's chain: raw base with data at 0, data in the middle layer at 512 KiB, an empty top. */
const singleDrive = () =>
  makeChain(
    temp.folder(),
    { name: 'base', format: 'raw', size: '1M', io: ['write -P 0x1 0 512'] },
    { name: 'mid', size: '1M', io: ['write -P 0x1 524288 512'] },
    { name: 'top', size: '1M' },
  )

/** A base full of data, for jobs that have to last. */
const twoLayers = (mebibytes = 4) =>
  makeChain(
    temp.folder(),
    { name: 'base', size: `${mebibytes}M`, io: [`write -P 5 0 ${mebibytes}M`] },
    { name: 'top', size: `${mebibytes}M` },
  )

const start = async (options: LiveDiskOptions = {}) => LiveDisk.start(await singleDrive(), options)

/** The guest shuts off, and everything must be right; `base` is the layer that the header leads to, or null. */
async function expectGood(live: LiveDisk, base: number | null): Promise<void> {
  await expectWhole(live, base === null ? null : pathAt(live.chain, base))
}

describe('030, a single drive', () => {
  test.each(styles)('test_stream, by -%s: the top has the data of both and stands on its own', async (style) => {
    const live = await start({ style })
    const completion = await live.pull()
    const released = [pathAt(live.chain, 1), pathAt(live.chain, 2)]
    expect(completion).toMatchObject({ state: 'completed', method: 'block-stream', released, warnings: [] })
    await expectGood(live, null)
    await qemuIo(live.chain.top, 'qcow2', 'read -P 1 0 512', 'read -P 0 512 523776', 'read -P 1 524288 512')
  })

  test('test_stream_intermediate: a middle layer, by the name of its node', async () => {
    const live = await start({ disks: [] })
    const { released } = await live.pull({}, 'mid')
    expect(released).toEqual([pathAt(live.chain, 2)])
    await expectGood(live, 1)
    expect(await info(pathAt(live.chain, 1))).not.toHaveProperty('backing-filename')
  })

  test.each(styles)('test_stream_no_op, by -%s: down to the immediate backing file', async (style) => {
    const live = await start({ style })
    expect(await live.pull({ base: pathAt(live.chain, 1) })).toMatchObject({ state: 'completed', released: [] })
    await expectGood(live, 1)
  })

  test('test_stream_no_op: an image that stands on its own', async () => {
    const live = await LiveDisk.start(await makeChain(temp.folder(), { size: '1M', io: ['write -P 1 0 1M'] }))
    expect(await live.pull()).toMatchObject({ state: 'completed', released: [] })
    await expectGood(live, null)
  })

  test.each([
    ['its path', (chain: CaseChain) => pathAt(chain, 2)],
    ['its name relative to the overlay', () => 'base'],
    ['its place below the disk', () => 'vda[2]'],
  ])('test_stream_partial: down to the base, by %s', async (_, nameOf) => {
    for (const style of styles) {
      const live = await start({ style })
      const { released } = await live.pull({ base: nameOf(live.chain) })
      expect(released).toEqual([pathAt(live.chain, 1)])
      await expectGood(live, 2)
      expect(await info(live.chain.top)).toMatchObject({ 'backing-filename-format': 'raw' })
    }
  })

  test('test_stream_partial, relative: the name of the base stays relative where QEMU has relative names', async () => {
    const chain = await singleDrive()
    const above = chain.folder.slice(0, chain.folder.lastIndexOf('/'))
    const relative = chain.top.slice(above.length + 1)
    const diskArgs = driveArgs({ ...chain, top: relative })
    const live = await LiveDisk.start(chain, { diskArgs, cwd: above, disks: [] })
    const job = await (await live.domain()).blockRebase('drive0', { base: 'drive0[2]', relative: true })
    await job.done
    await live.shutOff()
    expect(await info(chain.top)).toMatchObject({ 'backing-filename': 'base', 'backing-filename-format': 'raw' })
    expect(await live.complaints(pathAt(chain, 2))).toEqual([])
  })

  test('test_stream_pause: another program pauses the job and resumes it, and it completes', async () => {
    const live = await LiveDisk.start(await twoLayers())
    const client = await live.client()
    const job = await (await live.domain()).blockPull('vda', slow)
    const id = (await live.jobs())[0]?.id ?? ''
    await client.execute('job-pause', { id })
    await client.status(id, 'paused')
    await job.setBandwidth('0')
    expect(job.progress).toMatchObject({ state: 'running', cur: expect.any(Number) })
    await client.execute('job-resume', { id })
    expect(await job.done).toMatchObject({ state: 'completed' })
    await expectGood(live, null)
  })

  test('TestSmallerBackingFile: a backing file half as long is pulled, and the rest reads as zeros', async () => {
    const io = ['write -P 0x1 0 512', 'write -P 0x2 1048064 512']
    const live = await LiveDisk.start(await makeChain(temp.folder(), { size: '1M', io }, { size: '2M' }))
    await live.pull()
    await expectGood(live, null)
    await qemuIo(live.chain.top, 'qcow2', 'read -P 2 1048064 512', 'read -P 0 1M 1M')
  })

  test('TestSmallerBackingFile: down to a base that is longer than a layer between, it is refused', async () => {
    const chain = await makeChain(
      temp.folder(),
      { size: '2M', io: ['write -P 1 0 2M'] },
      { size: '1M' },
      { size: '2M' },
    )
    const live = await LiveDisk.start(chain)
    const pull = live.pull({ base: pathAt(chain, 2) })
    await expect(pull).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/pull without a base/),
    })
    await live.pull()
    await expectGood(live, null)
  })
})

describe('030, parallel jobs', () => {
  test('test_stream_parallel: four drives of a guest are pulled at once', async () => {
    const folder = temp.folder()
    await makeChain(folder, { name: 'base', size: '2M', io: ['write -P 9 0 1M'] })
    const names = ['one', 'two', 'three', 'four']
    const chains = names.map((name) => chainOf(folder, name, 'base'))
    for (const { top } of chains) {
      await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', top)
      await qemuIo(top, 'qcow2', 'write -P 3 1M 512k')
    }
    const disks = chains.map(({ top }, at) => ({ target: names[at] ?? '', source: top, format: 'qcow2' }))
    const diskArgs = chains.flatMap((chain, at) => driveArgs(chain, names[at]))
    const live = await LiveDisk.start(chains[0] as CaseChain, { diskArgs, disks })
    const domain = await live.domain()
    const jobs = await Promise.all(names.map((name) => domain.blockPull(name)))
    await Promise.all(jobs.map((job) => job.done))
    await expectGood(live, null)
    for (const { top } of chains) {
      await qemuIo(top, 'qcow2', 'read -P 9 0 1M', 'read -P 3 1M 512k', 'read -P 0 1536k 512k')
      expect(await info(top)).not.toHaveProperty('backing-filename')
    }
  })

  test('test_overlapping: a second pull while one runs is refused, from here and from another connection', async () => {
    const live = await LiveDisk.start(await twoLayers())
    const domain = await live.domain()
    const job = await domain.blockPull('vda', slow)
    await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'JOB_ACTIVE' })
    await expect((await live.domain()).blockPull('vda')).rejects.toMatchObject({ code: 'JOB_ACTIVE' })
    await expect((await live.domain()).blockPull(live.chain.top)).rejects.toMatchObject({ code: 'JOB_ACTIVE' })
    job.setBandwidth('0')
    await job.done
    await expectGood(live, null)
  })
})

describe('030, speed', () => {
  test('TestSetSpeed: a limit at the start takes effect, and so does a later one', async () => {
    const live = await LiveDisk.start(await twoLayers())
    const domain = await live.domain()
    const job = await domain.blockPull('vda', { bandwidth: '64KiB/s' })
    expect(await domain.blockJobInfo('vda')).toMatchObject({ bandwidth: 65536, end: 4 << 20 })
    const client = await live.client()
    expect(await client.execute('query-block-jobs')).toMatchObject([{ speed: 65536 }])
    await domain.blockJobSetSpeed('vda', '128KiB/s')
    await expect.poll(() => client.execute('query-block-jobs')).toMatchObject([{ speed: 131072 }])
    expect(await domain.blockJobInfo('vda')).toMatchObject({ bandwidth: 131072 })
    job.setBandwidth('0')
    await job.done
    await expectGood(live, null)
  })

  test('test_set_speed_invalid: a limit above what QEMU accepts is refused, and nothing has started', async () => {
    const live = await start()
    const domain = await live.domain()
    await expect(domain.blockPull('vda', { bytesPerSecond: 2n ** 63n })).rejects.toThrow(RangeError)
    await expect(domain.blockPull('vda', { bytesPerSecond: -1 })).rejects.toThrow(RangeError)
    expect(await live.jobs()).toEqual([])
    await expectGood(live, 1)
  })
})

describe('030, cancel', () => {
  test.each([
    ['waits for its end', false],
    ['does not wait', true],
  ])('TestStreamStop: a caller that %s cancels the job, and a second pull completes', async (_, async) => {
    const live = await LiveDisk.start(await twoLayers())
    const domain = await live.domain()
    const job = await domain.blockPull('vda', slow)
    await domain.blockJobAbort('vda', { async })
    await expect(job.done).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(job.outcome).toMatchObject({ state: 'cancelled', released: [] })
    expect(await live.jobs()).toEqual([])
    expect(await domain.blockJobInfo('vda')).toBeNull()
    await (await domain.blockPull('vda')).done
    await expectGood(live, null)
  })

  test('TestStreamStop: a job that another program has paused can be cancelled', async () => {
    const live = await LiveDisk.start(await twoLayers())
    const job = await (await live.domain()).blockPull('vda', slow)
    await (await live.client()).execute('job-pause', { id: (await live.jobs())[0]?.id })
    expect(await job.abort()).toMatchObject({ state: 'cancelled' })
    await expectGood(live, 1)
  })

  test('a job that another program cancels fails, and says so', async () => {
    const live = await LiveDisk.start(await twoLayers())
    const job = await (await live.domain()).blockPull('vda', slow)
    await (await live.client()).execute('job-cancel', { id: (await live.jobs())[0]?.id })
    await expect(job.done).rejects.toMatchObject({ message: expect.stringMatching(/cancell?ed/i) })
    await expectGood(live, 1)
  })
})

describe('030, disks that do not exist or must not be written', () => {
  test('test_device_not_found: a disk that QEMU does not have', async () => {
    const live = await start({ disks: [{ target: 'vda', source: '/nowhere/top', format: 'qcow2' }] })
    const domain = await live.domain()
    await expect(domain.blockPull('vdb')).rejects.toMatchObject({ code: 'NO_DISK' })
    await expect(domain.blockPull('vda')).rejects.toMatchObject({
      code: 'NO_DISK',
      hint: expect.stringMatching(/nowhere/),
    })
    await expectGood(live, 1)
  })

  test('test_stream_base_node_name: a base that is not in the chain', async () => {
    const live = await start()
    const domain = await live.domain()
    for (const base of ['/nowhere/base', 'nothing', 'vda[3]', 'vda[0]', live.chain.top]) {
      await expect(domain.blockPull('vda', { base })).rejects.toMatchObject({ code: 'NO_BASE' })
    }
    await expectGood(live, 1)
  })

  test('test_read_only: a top whose file is open read-only is refused', async () => {
    const chain = await singleDrive()
    const file = { driver: 'file', 'node-name': 'file', filename: chain.top, 'read-only': true }
    const diskArgs = blockdevArgs(chain).map((arg) => {
      if (!arg.includes('"node-name":"top"')) return arg
      return JSON.stringify({ ...JSON.parse(arg), file: 'file', 'read-only': true })
    })
    const live = await LiveDisk.start(chain, { diskArgs: ['-blockdev', JSON.stringify(file), ...diskArgs] })
    await expect(live.pull()).rejects.toMatchObject({ code: 'READ_ONLY' })
    await expectGood(live, 1)
  })

  test('a read-only top over a writable file is pulled, since QEMU reopens it for that', async () => {
    const chain = await singleDrive()
    const diskArgs = blockdevArgs(chain).map((arg) => arg.replace('"read-only":false', '"read-only":true'))
    const live = await LiveDisk.start(chain, { diskArgs })
    await live.pull()
    expect(await (await live.client()).execute('query-block')).toMatchObject([{ inserted: { ro: true } }])
    await expectGood(live, null)
  })
})

describe('pulls that QEMU would get wrong', () => {
  test('a top with internal snapshots is refused', async () => {
    const chain = await singleDrive()
    await qemuImg('snapshot', '-c', 'before', chain.top)
    const live = await LiveDisk.start(chain)
    const message = expect.stringMatching(/internal snapshots/)
    await expect(live.pull()).rejects.toMatchObject({ code: 'FEATURE_UNSUPPORTED', message, path: chain.top })
    await expectGood(live, 1)
  })

  test('a top with extended L2 is refused before QEMU 8.2, and pulled from then on', async () => {
    const options = 'extended_l2=on,cluster_size=128k'
    const chain = await makeChain(
      temp.folder(),
      { name: 'base', size: '4M', io: ['write -P 5 0 2M'] },
      { name: 'top', size: '4M', options, io: ['write -P 6 1M 4k', 'write -P 7 3M 9k'] },
    )
    const live = await LiveDisk.start(chain)
    const { qemu } = await (await live.client()).execute('query-version')
    const streams = qemu.major > 8 || (qemu.major === 8 && qemu.minor >= 2)
    if (streams) await live.pull()
    else await expect(live.pull()).rejects.toMatchObject({ code: 'FEATURE_UNSUPPORTED' })
    await expectGood(live, streams ? null : 1)
  })
})

describe('a domain without XML', () => {
  test.each([
    ['its device', 'drive', 'drive0'],
    ["the id of the guest's device", 'blockdev', 'virtio-disk0'],
    ["the id of the guest's device beside a drive", 'drive', 'virtio-drive0'],
    ['its node', 'blockdev', 'top'],
  ] as const)('its disk is found by %s', async (_, style, name) => {
    const live = await start({ style, disks: [] })
    const job = await (await live.domain()).blockPull(name, { bandwidth: '1GiB/s' })
    expect(await job.done).toMatchObject({ state: 'completed' })
    await expectGood(live, null)
  })

  test.each(styles)('its disk is found by its path, opened by -%s', async (style) => {
    const live = await start({ style, disks: [] })
    await live.pull({}, live.chain.top)
    await expectGood(live, null)
  })
})
