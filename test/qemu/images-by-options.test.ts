// SPDX-License-Identifier: Apache-2.0
//
// Images of which a path does not say everything: opened from an offset, through another image, with another backing
// file. A header could not name them so, and QEMU does not show what lies below. And images that somebody reads who is
// no disk.

import { afterAll, describe, expect, test } from 'vitest'
import { makeChain, pathAt } from '../support/images/stream-case.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { info, qemuImg } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('images-by-options')
afterAll(() => temp.remove())

const layers = (...names: readonly string[]) =>
  makeChain(temp.folder(), ...names.map((name, at) => ({ name, size: '4M', io: [`write -P ${at + 1} ${at}M 1M`] })))

const file = (filename: string) => ({ driver: 'file', filename })
const device = ['-device', 'virtio-blk-pci,drive=top,id=d0']
const blockdev = (node: object) => ['-blockdev', JSON.stringify(node)]

describe('a base that stays is refused', () => {
  test.each([
    [
      'without the backing file that its header states',
      (base: string) => ({ driver: 'qcow2', backing: null, file: file(base) }),
    ],
    ['up to a size', (base: string) => ({ driver: 'raw', size: 1 << 20, file: file(base) })],
    ['read through another image', (base: string) => ({ driver: 'raw', file: { driver: 'qcow2', file: file(base) } })],
  ])('%s', async (_, options) => {
    const chain = await layers('deep', 'base', 'mid', 'top')
    const base = pathAt(chain, 2)
    const name = `json:${JSON.stringify(options(base))}`
    await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', name, '-F', options(base).driver, pathAt(chain, 1))
    const diskArgs = [...blockdev({ driver: 'qcow2', 'node-name': 'top', file: file(chain.top) }), ...device]
    const live = await LiveDisk.start(chain, { diskArgs, disks: [] })
    await expect(live.pull({ base }, 'd0')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    expect(await live.jobs()).toEqual([])
    await live.shutOff()
    expect((await info(chain.top))['full-backing-filename']).toBe(pathAt(chain, 1))
  })
})

test('a disk that is read through an image is refused, although QEMU shows no backing file', async () => {
  const chain = await layers('base', 'top')
  const diskArgs = [
    ...blockdev({ driver: 'qcow2', 'node-name': 'image', file: file(chain.top) }),
    ...blockdev({ driver: 'raw', 'node-name': 'top', file: 'image' }),
    ...device,
  ]
  const live = await LiveDisk.start(chain, { diskArgs, disks: [] })
  await expect(live.pull({}, 'd0')).rejects.toMatchObject({ code: 'UNSUPPORTED', message: /over another image/ })
  await live.shutOff()
  expect(await live.complaints(pathAt(chain, 1))).toEqual([])
})

test('an internal snapshot taken during the pull keeps the backing file', async () => {
  const chain = await layers('base', 'top')
  const live = await LiveDisk.start(chain)
  const job = await (await live.domain()).blockPull('vda', { bandwidth: '64KiB/s' })
  const client = await live.client()
  await client.execute('human-monitor-command', { 'command-line': 'savevm s1' })
  job.setBandwidth('0')
  const outcome = await job.done.catch((error: unknown) => error)
  expect(outcome).toMatchObject({ code: 'JOB_FAILED', message: /got an internal snapshot/ })
  await live.shutOff()
  expect(await live.complaints(pathAt(chain, 1))).toEqual([])
})

describe('no file is released that is read by', () => {
  const nbd = { addr: { type: 'unix', data: { path: 'nbd' } } }
  test.each([
    ['an export of the layer', [], 'base', true],
    ['an image that waits for its device', ['x'], 'x', false],
    ['an export of another node over the file', ['x'], 'x', true],
  ])('%s', async (_, more, node, isExported) => {
    const chain = await layers('base', 'top')
    const live = await LiveDisk.start(chain)
    const client = await live.client()
    for (const name of more) {
      const image = { driver: 'qcow2', 'node-name': name, 'read-only': true, file: file(pathAt(chain, 1)) }
      await client.execute('blockdev-add', image)
    }
    if (isExported) {
      await client.execute('nbd-server-start', nbd)
      await client.execute('block-export-add', { type: 'nbd', id: 'e', 'node-name': node, name: 'd' })
    }
    const { released, warnings } = await live.pull()
    expect(released).toEqual([])
    expect(warnings).toEqual([expect.stringMatching(/which no disk shows/)])
    await live.shutOff()
    expect(await live.complaints(null)).toEqual([])
  })
})

describe('a copy-on-read filter over the disk', () => {
  const start = async (size: string) => {
    const chain = await makeChain(
      temp.folder(),
      { name: 'base', size, io: ['write -P 1 0 512k'] },
      { name: 'top', size: '1M' },
    )
    const diskArgs = [
      ...blockdev({ driver: 'qcow2', 'node-name': 'image', file: file(chain.top) }),
      ...blockdev({ driver: 'copy-on-read', 'node-name': 'top', file: 'image' }),
      ...device,
    ]
    return { chain, live: await LiveDisk.start(chain, { diskArgs, disks: [] }) }
  }

  test('over a shorter backing file is refused, since QEMU would write garbage after its end', async () => {
    const { chain, live } = await start('512k')
    await expect(live.pull({}, 'd0')).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/filter 'top' copies every read .*\(524288 bytes\) is shorter .*\(1048576\)/),
    })
    await live.shutOff()
    expect(await live.complaints(pathAt(chain, 1))).toEqual([])
  })

  test('over a backing file of equal length is pulled, and the guest reads the right bytes', async () => {
    const { live } = await start('1M')
    const pull = live.pull({ bytesPerSecond: 1 << 18 }, 'd0')
    const line = 'qemu-io -d /machine/peripheral/d0/virtio-backend "read 0 1M"'
    await (await live.client()).execute('human-monitor-command', { 'command-line': line })
    expect(await pull).toMatchObject({ state: 'completed' })
    await live.shutOff()
    expect(await live.complaints(null)).toEqual([])
  })
})
