// SPDX-License-Identifier: Apache-2.0
//
// Iotest 030's cases in which others use the same graph: a commit of another program lower in the chain, and images
// that are the children of a quorum. The cases of one disk alone are in stream-cases.test.ts.

import { afterAll, describe, expect, test } from 'vitest'
import { type CaseChain, makeChain, pathAt } from '../support/images/stream-case.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { difference, info, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('live-graph')
afterAll(() => temp.remove())

describe('030, a commit of another program in the same chain', () => {
  /** Files top, mid, low and base, with enough in low that its commit into base lasts. */
  const fourLayers = () =>
    makeChain(
      temp.folder(),
      { name: 'base', size: '4M', io: ['write -P 1 0 1M'] },
      { name: 'low', size: '4M', io: ['write -P 2 1M 2M'] },
      { name: 'mid', size: '4M', io: ['write -P 3 2M 512k'] },
      { name: 'top', size: '4M', io: ['write -P 4 3M 64k'] },
    )

  test.each([
    ['whole', null],
    ['down to the base that it commits into', 3],
  ])('test_overlapping_2: a pull, %s, is refused while it runs, and completes after it', async (_, base) => {
    const live = await LiveDisk.start(await fourLayers())
    const client = await live.client()
    const commit = { 'job-id': 'theirs', device: 'top', 'top-node': 'low', 'base-node': 'base', speed: 1 << 16 }
    await client.execute('block-commit', commit)
    const options = { base: base === null ? null : pathAt(live.chain, base) }
    const message = "Operation not supported: disk 'vda' already in active block job"
    const hint = expect.stringMatching(/Node '.*' is busy: block device is in use by block job: commit/)
    await expect(live.pull(options)).rejects.toMatchObject({ code: 'JOB_ACTIVE', message, hint, retryable: true })
    const [job] = await client.execute('query-block-jobs')
    expect(job).toMatchObject({ device: 'theirs', type: 'commit', speed: 1 << 16 })
    await client.execute('block-job-set-speed', { device: 'theirs', speed: 0 })
    const { data } = await client.event('BLOCK_JOB_COMPLETED')
    expect(data).toMatchObject({ device: 'theirs', type: 'commit', offset: data.len })
    expect(data).not.toHaveProperty('error')
    expect(await live.pull(options)).toMatchObject({ state: 'completed' })
    await live.shutOff()
    expect(await live.complaints(options.base)).toEqual([])
  })
})

describe('030, TestQuorum', () => {
  /** An overlay over a base, both with data; the same content each time. */
  const child = (folder: string, name: string): Promise<CaseChain> =>
    makeChain(
      folder,
      { name: `${name}-base`, size: '2M', io: ['write -P 5 0 1M'] },
      { name, size: '2M', io: ['write -P 6 512k 64k'] },
    )

  test('one of two children is pulled by the name of its node, and no content changes', async () => {
    const folder = temp.folder()
    const chains = [await child(folder, 'child0'), await child(folder, 'child1')] as const
    const live = await LiveDisk.start(chains[0], { diskArgs: [], disks: [] })
    const client = await live.client()
    for (const { top } of chains) {
      const node = {
        driver: 'qcow2',
        'node-name': top.slice(folder.length + 1),
        file: { driver: 'file', filename: top },
      }
      await client.execute('blockdev-add', node)
    }
    const children = ['child0', 'child1']
    await client.execute('blockdev-add', { driver: 'quorum', 'node-name': 'both', 'vote-threshold': 2, children })
    const released = [pathAt(chains[0], 1)]
    expect(await live.pull({}, 'child0')).toMatchObject({ state: 'completed', method: 'block-stream', released })
    await live.shutOff()
    expect(await live.complaints(null)).toEqual([])
    expect(await difference(`${folder}/before.raw`, chains[1].top)).toBeNull()
    expect(await info(chains[1].top)).toHaveProperty('backing-filename')
  })
})

describe('an image that QEMU has opened differently than its header states', () => {
  const overlay = () =>
    makeChain(
      temp.folder(),
      { name: 'base', size: '2M', io: ['write -P 1 0 1M'] },
      { name: 'other', size: '2M', io: ['write -P 2 0 1M'] },
      { name: 'top', size: '2M', io: ['write -P 3 512k 64k'] },
    )
  const opened = (chain: CaseChain, backing: object | null) => {
    const node = { driver: 'qcow2', 'node-name': 'top', file: { driver: 'file', filename: chain.top }, backing }
    return ['-blockdev', JSON.stringify(node), '-device', 'virtio-blk-pci,drive=top']
  }

  test('without the backing file that it states: refused, since QEMU would report success', async () => {
    const chain = await overlay()
    const live = await LiveDisk.start(chain, { diskArgs: opened(chain, null) })
    const message = expect.stringContaining(`without the backing file 'other' that its header states`)
    await expect(live.pull()).rejects.toMatchObject({ code: 'UNSUPPORTED', message })
    expect((await (await live.domain()).plan('vda')).refusals).toEqual([expect.objectContaining({ message })])
  })

  test('on another backing file: what the guest sees stays, and no backing file remains', async () => {
    const chain = await overlay()
    const base = { driver: 'qcow2', file: { driver: 'file', filename: pathAt(chain, 2) }, 'read-only': true }
    const live = await LiveDisk.start(chain, { diskArgs: opened(chain, base) })
    const qemus = await (await live.client()).execute('human-monitor-command', {
      'command-line': 'qemu-io top "read -P 1 0 512k"',
    })
    expect(qemus).not.toContain('failed')
    expect(await live.pull()).toMatchObject({ state: 'completed', released: [pathAt(chain, 2)] })
    await live.shutOff()
    expect(await info(chain.top)).not.toHaveProperty('backing-filename')
    await qemuIo(chain.top, 'qcow2', 'read -P 1 0 512k', 'read -P 3 512k 64k')
  })
})
