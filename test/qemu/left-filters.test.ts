// SPDX-License-Identifier: Apache-2.0
//
// The filter by which a disk is flushed, left behind by a process that was killed within the flush: it keeps block
// jobs of other programs off the disk, so whoever of us comes next removes it.

import { afterAll, describe, expect, test } from 'vitest'
import { connect } from '../../lib/index.js'
import { makeChain } from '../support/images/stream-case.js'
import { GuestPuller } from '../support/processes/guest-puller.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { expectWhole } from '../support/qemu/live-verdict.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('left-filters')
afterAll(() => temp.remove())

async function start() {
  const chain = await makeChain(
    temp.folder(),
    { name: 'base', size: '4M', io: ['write -P 1 0 4M'] },
    { name: 'top', size: '4M', io: ['write -P 3 1M 64k'] },
  )
  const live = await LiveDisk.start(chain, { proxy: true })
  return { live, proxy: live.proxy as NonNullable<typeof live.proxy> }
}

/** The names of the filters of ours that QEMU has. */
async function filters(live: LiveDisk): Promise<string[]> {
  const { nodes } = await (await live.client()).execute('x-debug-query-block-graph')
  const names: string[] = nodes.map(({ name }: { name: string }) => name)
  return names.filter((name) => /^blockpull-[0-9a-f]{8}-[0-9a-f]{8}$/.test(name))
}

/** Nothing is left in QEMU, and the files are right. */
async function expectFinished(live: LiveDisk): Promise<void> {
  expect(await filters(live)).toEqual([])
  await expectWhole(live)
}

const instants = [
  ['the first flush, its filter added', 'blockdev-reopen', 0],
  ['the first flush, its filter used', 'blockdev-del', 0],
  ['the last flush, its filter added', 'blockdev-reopen', 1],
  ['the last flush, its filter used', 'blockdev-del', 1],
] as const

describe.each(instants)('killed in %s', (_, command, passing) => {
  async function left(): Promise<LiveDisk> {
    const { live, proxy } = await start()
    const held = proxy.hold([command], 'before', passing)
    const puller = GuestPuller.start(live)
    await held.reached
    await puller.kill()
    proxy.cut()
    expect(await filters(live)).toHaveLength(1)
    return live
  }

  test('the next reap removes the filter, and the pull is whole', async () => {
    const live = await left()
    await (await live.domain()).reap()
    await expectFinished(live)
  })

  test('the next pull removes the filter, and completes', async () => {
    const live = await left()
    await live.pull()
    await expectFinished(live)
  })

  test('a QEMU that is killed at that moment leaves a whole image', async () => {
    const live = await left()
    await live.qemu.kill()
    expect(await live.complaints(passing === 0 ? (live.chain.layers[1]?.path ?? '') : null, true)).toEqual([])
  })
})

test('flushes of one process take turns: none finds the filter of another', async () => {
  const { live, proxy } = await start()
  const domain = await live.domain()
  const job = await domain.blockPull('vda')
  await Promise.all([job.done, ...Array.from({ length: 8 }, () => domain.reap())])
  const added = proxy.commands.filter((name) => name === 'blockdev-add')
  expect(proxy.commands.filter((name) => name === 'blockdev-reopen')).toHaveLength(added.length)
  expect(proxy.commands).not.toContain('human-monitor-command')
  await expectFinished(live)
})

test('another process removes the filter of a reap: its flush is restarted', async () => {
  const { live, proxy } = await start()
  const held = proxy.hold(['blockdev-reopen'], 'before')
  const reaping = (await live.domain()).reap()
  await held.reached
  const domains = [{ name: 'vm0', qmp: live.qemu.sockets[2] ?? '', disks: [...live.disks] }]
  const other = await connect({ domains })
  await (await other.lookupByName('vm0')).reap()
  await other.close()
  held.release()
  expect(await reaping).toEqual([])
})

test('the filter of a live process is removed as well: its flush is restarted, and it completes', async () => {
  const { live, proxy } = await start()
  const held = proxy.hold(['blockdev-reopen'], 'before')
  const job = await (await live.domain()).blockPull('vda')
  await held.reached
  const domains = [{ name: 'vm0', qmp: live.qemu.sockets[2] ?? '', disks: [...live.disks] }]
  const other = await connect({ domains })
  await expect.poll(() => filters(live)).not.toHaveLength(1)
  await other.close()
  held.release()
  expect(await job.done).toMatchObject({ state: 'completed' })
  await expectFinished(live)
})

test.each([
  ['the filter is added', 'blockdev-add', 'after'],
  ['the filter is used', 'blockdev-reopen', 'after'],
  ['the filter is to be removed', 'blockdev-del', 'before'],
] as const)(
  'a monitor that breaks when %s, under a pull that is aborted: no filter is left',
  async (_, command, side) => {
    const { live, proxy } = await start()
    const held = proxy.hold([command], side)
    const job = await (await live.domain()).blockPull('vda')
    await held.reached
    const aborted = job.abort()
    expect(await filters(live)).toHaveLength(1)
    proxy.cut()
    expect(await aborted).toMatchObject({ state: 'cancelled' })
    expect(await filters(live)).toEqual([])
  },
)
