// SPDX-License-Identifier: Apache-2.0
//
// The versions that a peer passes for: what each offers, and what it refuses as a QEMU of its time would.

import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { QmpPeer, versions } from './index.mjs'
import type { VersionProfile } from './types.js'

const temp = new TempFolder('versions')
const size = 2 ** 20
let count = 0

afterAll(() => temp.remove())

async function start(version: VersionProfile) {
  const nodes = ['top', 'base'].map((nodeName) => ({ nodeName, filename: `${nodeName}.qcow2`, virtualSize: size }))
  const peer = await QmpPeer.start({ path: temp.file(`${count++}.qmp`), version, disks: [{ device: 'vda', nodes }] })
  onTestFinished(() => peer.stop())
  const client = await QmpClient.connect(peer.path)
  onTestFinished(() => client.close())
  const commands: { name: string }[] = await client.execute('query-commands')
  return { peer, client, names: commands.map(({ name }) => name) }
}

describe('QEMU of 2011', () => {
  test('has only the old names, one job for each device, and no job states', async () => {
    const { peer, client, names } = await start(versions.qemu1)
    expect(names).toContain('block_stream')
    expect(names.filter((name) => /^(block-|job-|query-jobs|query-named)/.test(name))).toEqual([])
    await expect(client.execute('block-stream', { device: 'vda' })).rejects.toMatchObject({ class: 'CommandNotFound' })
    await client.execute('block_stream', { device: 'vda' })
    await client.execute('block_job_set_speed', { device: 'vda', value: 5 })
    expect(await client.execute('query-block-jobs')).toEqual([
      { type: 'stream', device: 'vda', len: size, offset: 0, speed: 5 },
    ])
    peer.complete('vda')
    await client.event('BLOCK_JOB_COMPLETED')
    expect(client.messages.filter(({ event }) => event === 'JOB_STATUS_CHANGE')).toEqual([])
  })

  test('shows a disk without node names', async () => {
    const { client } = await start(versions.qemu1)
    const [{ inserted }] = await client.execute('query-block')
    expect(inserted).toEqual({
      file: 'top.qcow2',
      drv: 'qcow2',
      ro: false,
      encrypted: false,
      backing_file: 'base.qcow2',
    })
  })
})

describe('QEMU 4.2', () => {
  test('has jobs that are finalized by hand, and neither flat listing nor bottom nor filter', async () => {
    const { client, names } = await start(versions.qemu42)
    expect(names).toEqual(expect.arrayContaining(['job-finalize', 'query-jobs']))
    await expect(client.execute('query-named-block-nodes', { flat: true })).rejects.toThrow("'flat' is unexpected")
    const stream = { 'job-id': 'j', device: 'vda', 'auto-finalize': false }
    await expect(client.execute('block-stream', { ...stream, bottom: 'top' })).rejects.toThrow("'bottom' is unexpected")
    await client.execute('block-stream', stream)
    const nodes: { drv: string }[] = await client.execute('query-named-block-nodes')
    expect(nodes.map(({ drv }) => drv)).toEqual(['qcow2', 'file', 'qcow2', 'file'])
  })
})

describe('QEMU 6.0', () => {
  test('puts a filter over the top for as long as a stream runs', async () => {
    const { client } = await start(versions.qemu60)
    await client.execute('block-stream', { 'job-id': 'j', device: 'vda', 'filter-node-name': 'filter' })
    const [newest] = await client.execute('query-named-block-nodes', { flat: true })
    expect(newest).toMatchObject({ 'node-name': 'filter', drv: 'copy-on-read' })
    await client.execute('job-cancel', { id: 'j' })
    const nodes: { drv: string }[] = await client.execute('query-named-block-nodes', { flat: true })
    expect(nodes.map(({ drv }) => drv)).toEqual(['qcow2', 'file', 'qcow2', 'file'])
  })
})

describe('QEMU 10.1', () => {
  test('marks the older verbs as deprecated, and still has them', async () => {
    const { client } = await start(versions.qemu101)
    const schema: { name: string; features?: string[] }[] = await client.execute('query-qmp-schema')
    const deprecated = schema.filter(({ features }) => features?.includes('deprecated')).map(({ name }) => name)
    const verbs = ['pause', 'resume', 'complete', 'finalize', 'dismiss']
    expect(deprecated).toEqual(verbs.map((verb) => `block-job-${verb}`))
    await client.execute('block-stream', { 'job-id': 'j', device: 'vda' })
    await client.execute('block-job-pause', { device: 'j' })
    expect(await client.execute('query-status')).toEqual({ running: true, status: 'running' })
  })

  test('refuses them if configured to', async () => {
    const { client } = await start(versions.qemu101Strict)
    await client.execute('block-stream', { 'job-id': 'j', device: 'vda' })
    const refusal = { class: 'CommandNotFound', desc: 'Deprecated command block-job-pause disabled by policy' }
    await expect(client.execute('block-job-pause', { device: 'j' })).rejects.toMatchObject(refusal)
    await client.execute('job-pause', { id: 'j' })
  })
})

describe('qemu-storage-daemon', () => {
  test('has no guest, no human monitor and no drives, and exports nodes', async () => {
    const { client, names } = await start(versions.storageDaemon)
    const missing = ['query-status', 'query-name', 'query-uuid', 'human-monitor-command', 'stop', 'cont']
    expect(names.filter((name) => missing.includes(name))).toEqual([])
    expect(await client.execute('query-block')).toEqual([])
    const addr = { type: 'unix', data: { path: 'x' } }
    await client.execute('nbd-server-start', { addr })
    await client.execute('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'top' })
    expect(names).toEqual(expect.arrayContaining(['nbd-server-stop', 'block-export-del', 'query-block-exports']))
  })
})
