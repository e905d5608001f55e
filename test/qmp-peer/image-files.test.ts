// SPDX-License-Identifier: Apache-2.0
//
// A peer over real files: what a stream does to them, honest or not, and who could see it.

import { readdirSync, readlinkSync, rmSync } from 'node:fs'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { check, difference, info, map } from '../support/qemu/qemu.js'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { QmpPeer } from './index.mjs'
import { makeRealChain, type RealChain } from './real-chain.js'
import type { DiskDescription, FileLie } from './types.js'

const temp = new TempFolder('image-files')
const stream = { 'job-id': 'j', device: 'top', 'auto-finalize': false }
const flush = { driver: 'blkdebug', 'node-name': 'f', image: 'top', 'take-child-perms': ['write-unchanged'] }

afterAll(() => temp.remove())

interface Started extends RealChain {
  readonly peer: QmpPeer
  readonly client: QmpClient
}

async function start(lie: FileLie = {}, files: DiskDescription['files'] = 'held'): Promise<Started> {
  const chain = await makeRealChain(temp.folder())
  const disks = [{ device: 'vda', files, nodes: chain.nodes }]
  const peer = await QmpPeer.start({ path: `${chain.folder}/qmp`, disks, lie })
  onTestFinished(() => peer.stop())
  const client = await QmpClient.connect(peer.path)
  onTestFinished(() => client.close())
  return { ...chain, peer, client }
}

/** A stream up to where it waits to be finalized. */
async function streamToPending({ peer, client }: Started, options: object = {}): Promise<void> {
  await client.execute('block-stream', { ...stream, ...options })
  peer.complete('j')
  await client.event('BLOCK_JOB_PENDING')
}

/** The files that this process has open, of those in the folder. */
function openFiles(folder: string): string[] {
  const targets = readdirSync('/proc/self/fd').map((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`)
    } catch {
      return ''
    }
  })
  return targets.filter((target) => target.startsWith(folder) && target.endsWith('.qcow2')).sort()
}

/** Guest bytes that only what lies below the image has. */
async function bytesBelow(path: string): Promise<number> {
  const below = (await map(path)).filter(({ depth, data, zero }) => depth > 0 && (data || zero))
  return below.reduce((sum, { length }) => sum + length, 0)
}

const backingOf = async (path: string) => (await info(path))['backing-filename']

describe('an honest stream', () => {
  test('copies all that is below, then changes the header, and loses nothing', async () => {
    const started = await start()
    const { client, path, flat } = started
    expect(await bytesBelow(path('top'))).toBeGreaterThan(0)
    await streamToPending(started)
    expect(await backingOf(path('top'))).toBe('mid.qcow2')
    expect((await map(path('top'))).filter(({ depth, data }) => depth > 0 && data)).toEqual([])
    await client.execute('job-finalize', { id: 'j' })
    expect(await backingOf(path('top'))).toBe(undefined)
    expect(await difference(flat, path('top'))).toBe(null)
    expect((await check(path('top'))).code).toBe(0)
  })

  test('down to a base copies only what lies above it, and states it as requested', async () => {
    const started = await start()
    const { client, path, flat } = started
    await streamToPending(started, { 'base-node': 'base', 'backing-file': 'base.qcow2' })
    await client.execute('job-finalize', { id: 'j' })
    expect(await backingOf(path('top'))).toBe('base.qcow2')
    expect((await map(path('top'))).filter(({ depth, data }) => depth > 0 && data)).not.toEqual([])
    expect(await difference(flat, path('top'))).toBe(null)
  })

  test('copies nothing while the images are inactive', async () => {
    const started = await start()
    const { peer, client, path } = started
    await client.execute('block-stream', stream)
    peer.migrate()
    peer.migrateTo('postmigrate')
    const before = await bytesBelow(path('top'))
    peer.complete('j')
    await client.event('BLOCK_JOB_PENDING')
    expect(await bytesBelow(path('top'))).toBe(before)
  })
})

describe('the files', () => {
  test('are open as in QEMU, until it closes them', async () => {
    const started = await start()
    const { peer, path, folder } = started
    expect(openFiles(folder)).toEqual([path('base'), path('mid'), path('top')])
    await peer.stop()
    expect(openFiles(folder)).toEqual([])
  })

  test('that are not open are still changed', async () => {
    const started = await start({}, 'unheld')
    const { client, path, flat, folder } = started
    expect(openFiles(folder)).toEqual([])
    await streamToPending(started)
    await client.execute('job-finalize', { id: 'j' })
    expect(await backingOf(path('top'))).toBe(undefined)
    expect(await difference(flat, path('top'))).toBe(null)
  })

  test('show their headers in a second node, whatever the first one shows', async () => {
    const started = await start({ header: 'unchanged' })
    const { client, path } = started
    await streamToPending(started)
    await client.execute('job-finalize', { id: 'j' })
    const [{ inserted }] = await client.execute('query-block')
    expect(inserted.image['backing-filename']).toBe(undefined)
    const file = { driver: 'file', filename: path('top') }
    await client.execute('blockdev-add', { driver: 'qcow2', 'node-name': 'x', 'read-only': true, file, backing: null })
    const [{ 'node-name': name, image }] = await client.execute('query-named-block-nodes', { flat: true })
    expect([name, image['backing-filename']]).toEqual(['x', 'mid.qcow2'])
    rmSync(path('base'))
    const gone = { driver: 'qcow2', 'node-name': 'y', 'read-only': true, file: { ...file, filename: path('base') } }
    await expect(client.execute('blockdev-add', gone)).rejects.toThrow('No such file or directory')
  })
})

describe('a lie', () => {
  /** A stream to its end; gives whether the top is as it was, and what it then states. */
  async function pull(lie: FileLie) {
    const started = await start(lie)
    const { client, path } = started
    const before = await bytesBelow(path('top'))
    await streamToPending(started)
    const after = await bytesBelow(path('top'))
    await client.execute('job-finalize', { id: 'j' })
    return { ...started, isUntouched: after === before, stated: await backingOf(path('top')) }
  }

  test('fills another image', async () => {
    const { path, isUntouched, stated } = await pull({ fills: 'mid' })
    expect([isUntouched, stated]).toEqual([true, 'mid.qcow2'])
    expect(await backingOf(path('mid'))).toBe(undefined)
    expect((await map(path('mid'))).filter(({ depth }) => depth > 0)).toEqual([])
  })

  test('skips the writes and drops the backing file', async () => {
    const { path, flat, isUntouched, stated } = await pull({ skipsWrites: true })
    expect([isUntouched, stated]).toEqual([true, undefined])
    expect(await difference(flat, path('top'))).not.toBe(null)
  })

  test.each([
    ['unchanged' as const, 'mid.qcow2'],
    [{ states: 'base.qcow2' }, 'base.qcow2'],
  ])('leaves the header %j', async (header, expected) => {
    const { path, flat, isUntouched, stated } = await pull({ header })
    expect([isUntouched, stated]).toEqual([false, expected])
    expect(await difference(flat, path('top'))).toBe(null)
  })

  test('holds back the tables until a number of flushes were answered', async () => {
    const started = await start({ flushesUntilEntries: 2 })
    const { client, path } = started
    const before = await bytesBelow(path('top'))
    await streamToPending(started)
    const left: number[] = []
    for (let flushes = 0; flushes < 2; flushes++) {
      left.push(await bytesBelow(path('top')))
      await client.execute('blockdev-add', flush)
      await client.execute('blockdev-reopen', { options: [flush] })
      await client.execute('blockdev-del', { 'node-name': 'f' })
    }
    expect(left).toEqual([before, before])
    expect((await map(path('top'))).filter(({ depth, data }) => depth > 0 && data)).toEqual([])
    expect((await check(path('top'))).code).toBe(0)
  })
})
