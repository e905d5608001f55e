// SPDX-License-Identifier: Apache-2.0
//
// A QEMU that says that a pull went well, over real files to which it has not: only the files can tell, and what they
// tell counts. Whatever it says, nobody is told that an image may be removed which is still needed.

import { copyFileSync } from 'node:fs'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { type BlockPullOptions, connect } from '../../lib/index.js'
import { PeerProcess, QmpPeer } from '../qmp-peer/index.mjs'
import { type LayerName, makeRealChain, type RealChain, virtualSize } from '../qmp-peer/real-chain.js'
import type { DiskDescription, FileLie, PeerOptions } from '../qmp-peer/types.js'
import { check, difference, info } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'
import { endOf, jobIn, open, timesAsked, until } from './live-domain.js'

const temp = new TempFolder('lying-qemu')
afterAll(() => temp.remove())

const quick = { progressPerTick: virtualSize / 4, tickMs: 1 } as const

/** A guest with this disk. */
async function startGuest(disk: DiskDescription, options: Partial<PeerOptions>) {
  const peer = await QmpPeer.start({ path: `${temp.folder()}/qmp`, disks: [disk], ...options })
  onTestFinished(() => peer.stop())
  const source = disk.nodes.flatMap((node) => ('filename' in node ? [node.filename] : []))[0]
  return { peer, ...(await open(peer, undefined, source)) }
}

/** A pull of a guest over a fresh chain, to its end. */
async function pull(lie: FileLie, options: BlockPullOptions = {}, base?: LayerName) {
  const chain = await makeRealChain(temp.folder())
  const started = await startGuest({ device: 'vda', files: 'held', nodes: chain.nodes }, { lie, ...quick })
  const kept = base === undefined ? {} : { base: chain.path(base) }
  const job = await started.domain.blockPull('vda', { ...options, ...kept })
  await endOf(job)
  return { ...started, chain, outcome: job.outcome }
}

const stated = async (path: string) => (await info(path))['backing-filename']

/** What must hold of the files, the pull being told as ended like this. */
async function complaints(chain: RealChain, outcome: Awaited<ReturnType<typeof pull>>['outcome']): Promise<string[]> {
  const found: string[] = []
  if (outcome?.state === 'completed') {
    const differs = await difference(chain.flat, chain.path('top'))
    if (differs !== null) found.push(`completed, and ${differs}`)
    return found
  }
  const message = outcome?.error?.message ?? ''
  const isStated = (await stated(chain.path('top'))) === 'mid.qcow2'
  const isTold = /keep (its|the) backing files?/.test(message)
  if (!isStated && !isTold) found.push(`the header is another, and nobody says what to keep: '${message}'`)
  if (outcome?.released.length !== 0) found.push(`released in a pull that ended as ${outcome?.state}`)
  return found
}

describe('an honest QEMU: a pull is completed, verified, and releases what it says', () => {
  test.each([
    ['of all', undefined, ['mid', 'base'], undefined],
    ['down to a base', 'base', ['mid'], 'base.qcow2'],
  ] as const)('%s', async (_what, base, released, left) => {
    const { chain, outcome } = await pull({}, {}, base)
    expect(outcome).toMatchObject({ state: 'completed', verified: true, released: released.map(chain.path) })
    expect(outcome?.warnings).toEqual([])
    expect(await stated(chain.path('top'))).toBe(left)
    expect(await complaints(chain, outcome)).toEqual([])
    expect((await check(chain.path('top'))).code).toBe(0)
  })

  test.each([
    ['over the disk', [{ filter: 'throttle', nodeName: 'slow' }], []],
    ['three over the disk', ['a', 'b', 'c'].map((nodeName) => ({ filter: 'copy-on-read', nodeName })), []],
    ['of QEMU’s own over the disk', [{ filter: 'copy-on-read', isImplicit: true }], []],
    ['over a layer', [], [{ filter: 'throttle', nodeName: 'slow' }]],
    ['over both', [{ filter: 'blkdebug', nodeName: 'debug' }], [{ filter: 'commit_top', isImplicit: true }]],
  ])('with filters %s', async (_where, over, between) => {
    const chain = await makeRealChain(temp.folder())
    const [top, ...layers] = chain.nodes
    if (top === undefined) throw new Error('the chain has no top')
    const nodes = [...over, top, ...between, ...layers]
    const { domain, peer } = await startGuest({ device: 'vda', files: 'held', nodes }, quick)
    const job = await domain.blockPull('vda')
    expect(await endOf(job)).toBe('completed')
    expect(job.outcome).toMatchObject({ verified: true, released: [chain.path('mid'), chain.path('base')] })
    expect(await complaints(chain, job.outcome)).toEqual([])
    expect(peer.log.find(({ kind, name }) => kind === 'command' && name === 'block-stream')).toMatchObject({
      arguments: { device: 'top' },
    })
  })
})

describe('a lie is a failure, and needed files are kept', () => {
  test.each<[string, FileLie]>([
    ['another image is filled', { fills: 'mid' }],
    ['nothing is copied', { skipsWrites: true }],
    ['what was copied never comes to be in the file', { flushesUntilEntries: Number.POSITIVE_INFINITY }],
    ['the header stays as it was', { header: 'unchanged' }],
    ['the header states a layer that was to drop out', { header: { states: 'base.qcow2' } }],
    ['nothing is copied, and the header stays', { skipsWrites: true, header: 'unchanged' }],
  ])('where %s', async (_which, lie) => {
    const { chain, outcome } = await pull(lie)
    expect(outcome?.state).toBe('failed')
    expect(await complaints(chain, outcome)).toEqual([])
    expect(await difference(chain.flat, chain.path('top'))).toBe(null)
  })

  test.each<[string, FileLie]>([
    ['nothing is copied', { skipsWrites: true }],
    ['the header stays as it was', { header: 'unchanged' }],
    ['the header states another base', { header: { states: 'mid.qcow2' } }],
  ])('where %s, and a base was to stay', async (_which, lie) => {
    const { chain, outcome } = await pull(lie, {}, 'base')
    expect(outcome?.state).toBe('failed')
    expect(await complaints(chain, outcome)).toEqual([])
    expect(await difference(chain.flat, chain.path('top'))).toBe(null)
  })

  test.each([
    ['nothing is copied', { skipsWrites: true }],
    ['what was copied never comes to be in the file', { flushesUntilEntries: Number.POSITIVE_INFINITY }],
  ])('where %s, before the header is changed', async (_which, lie) => {
    const { chain, peer } = await pull(lie)
    expect(timesAsked(peer, 'job-finalize')).toBe(0)
    expect(await stated(chain.path('top'))).toBe('mid.qcow2')
  })

  test.each([1, 2, 3])('or none, if the copied data is there after flush %d', async (flushesUntilEntries) => {
    const { chain, outcome } = await pull({ flushesUntilEntries })
    expect(outcome?.state).toMatch(/^(completed|failed)$/)
    expect(await complaints(chain, outcome)).toEqual([])
    expect(await difference(chain.flat, chain.path('top'))).toBe(null)
  })
})

describe('if the files cannot be seen, a pull is completed, not verified, and releases nothing', () => {
  interface Hiding {
    /** Whether the names lead to other files here; otherwise they lead to nothing. */
    readonly isThere: boolean
    readonly files: 'held' | 'unheld'
  }

  const ways: readonly [string, Hiding][] = [
    ['its names lead to nothing', { isThere: false, files: 'held' }],
    ['its names lead to other files than it holds', { isThere: true, files: 'held' }],
    ['its names lead to files, and none is seen to be held', { isThere: true, files: 'unheld' }],
  ]

  /** A guest in another process, whose disk is in `hidden` and goes by other names. */
  async function startHidden({ isThere, files }: Hiding, lie: FileLie = {}) {
    const hidden = await makeRealChain(temp.folder())
    const shown = temp.folder()
    const nodes = hidden.nodes.map((node) => {
      const filename = `${shown}/${node.nodeName}.qcow2`
      if (isThere) copyFileSync(node.filename, filename)
      return { ...node, filename, path: node.filename }
    })
    const options = { folder: shown, count: 1, jobTimeMs: 10, diskBytes: virtualSize }
    const peers = await PeerProcess.start({ ...options, disks: [{ device: 'vda', files, nodes }], lie })
    onTestFinished(() => peers.stop())
    const disks = [{ target: 'vda', source: `${shown}/top.qcow2`, format: 'qcow2' }]
    const connection = await connect({ domains: [{ name: 'vm0', qmp: `${shown}/vm0.qmp`, disks }] })
    onTestFinished(() => connection.close())
    connection.on('jobFailed', () => undefined)
    return { domain: await connection.lookupByName('vm0'), hidden, shown }
  }

  test.each(ways)('since %s', async (_why, hiding) => {
    const { domain, hidden, shown } = await startHidden(hiding)
    const job = await domain.blockPull('vda')
    expect(await endOf(job)).toBe('completed')
    expect(job.outcome).toMatchObject({ state: 'completed', verified: false, released: [] })
    expect(job.outcome?.warnings).toHaveLength(1)
    expect(await stated(hidden.path('top'))).toBe(undefined)
    expect(await complaints(hidden, job.outcome)).toEqual([])
    if (hiding.isThere) expect(await stated(`${shown}/top.qcow2`)).toBe('mid.qcow2')
  })

  test.each(ways)('or it has failed, if the header stays, and %s', async (_why, hiding) => {
    const { domain, hidden } = await startHidden(hiding, { header: 'unchanged' })
    const job = await domain.blockPull('vda')
    await endOf(job)
    expect(job.outcome?.state).toMatch(/^(completed|failed)$/)
    if (job.outcome?.state === 'completed') expect(job.outcome).toMatchObject({ verified: false })
    expect(job.outcome?.released).toEqual([])
    expect(await stated(hidden.path('top'))).toBe('mid.qcow2')
  })
})

describe('a migration', () => {
  async function startPull() {
    const chain = await makeRealChain(temp.folder())
    const started = await startGuest({ device: 'vda', files: 'held', nodes: chain.nodes }, {})
    const job = await started.domain.blockPull('vda')
    const id = jobIn(started.peer)
    started.peer.advance(id, virtualSize / 2)
    return { ...started, chain, job, id }
  }

  test('that begins pauses the job, and once cancelled lets it complete', async () => {
    const { peer, chain, job, id } = await startPull()
    peer.migrate()
    peer.migrateTo('active')
    await until('the pause', () => peer.statusOf(id) === 'paused')
    peer.cancelMigration()
    await until('the resume', () => peer.statusOf(id) === 'running')
    peer.complete(id)
    expect(await endOf(job)).toBe('completed')
    expect(job.outcome).toMatchObject({ verified: true })
    expect(await complaints(chain, job.outcome)).toEqual([])
  })

  test('that ended unseen leaves holes, which are found and filled', async () => {
    const { peer, chain, job, id } = await startPull()
    peer.migrate()
    peer.migrateTo('postmigrate')
    peer.complete(id)
    peer.cont()
    peer.pace(virtualSize)
    expect(await endOf(job)).toBe('completed')
    expect(job.outcome).toMatchObject({ verified: true })
    expect(timesAsked(peer, 'block-stream')).toBe(2)
    expect(await complaints(chain, job.outcome)).toEqual([])
  })

  test('that has taken the images prevents the finalize', async () => {
    const { peer, chain, job, id } = await startPull()
    const looks = timesAsked(peer, 'query-status')
    peer.complete(id)
    peer.migrate()
    peer.migrateTo('postmigrate')
    await until('a look at the guest', () => timesAsked(peer, 'query-status') > looks + 1 || job.outcome !== null)
    expect(timesAsked(peer, 'job-finalize')).toBe(0)
    expect(await stated(chain.path('top'))).toBe('mid.qcow2')
    await peer.kill()
    expect(await endOf(job)).not.toBe('completed')
    expect(await complaints(chain, job.outcome)).toEqual([])
  })
})
