// SPDX-License-Identifier: Apache-2.0
//
// `blockpull check` and `info` as processes: exit codes, streams, an image in use, and an interrupt. How lines are
// worded is tested without a process, in test/lib/cli.

import { spawn } from 'node:child_process'
import { afterAll, describe, expect, test } from 'vitest'
import { bigEndian, overwrite } from '../support/images/files.js'
import { blockpull } from '../support/processes/command.js'
import { qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('check-command')
afterAll(() => temp.remove())

async function image(): Promise<string> {
  const path = `${temp.folder()}/image.qcow2`
  await qemuImg('create', '-q', '-f', 'qcow2', path, '16M')
  await qemuIo(path, 'qcow2', 'write -P 1 0 128k')
  return path
}

describe('the exit code', () => {
  test('is 0 for a sound image', async () => {
    const path = await image()
    const stdout = `${path}: sound; 2 of 256 clusters in use (0.8 %)\n`
    expect(await blockpull('check', path)).toEqual({ code: 0, stdout, stderr: '' })
  })

  test('is 3 for leaks alone', async () => {
    const path = await image()
    overwrite(path, 3 * 65536, Buffer.alloc(8))
    const { code, stdout } = await blockpull('check', path)
    expect(code).toBe(3)
    expect(stdout.split('\n').slice(0, -2)).toEqual(
      [4, 5, 6].map((cluster) => `leak: cluster ${cluster} has refcount 1 and 0 references`),
    )
  })

  test('is 2 for errors', async () => {
    const path = await image()
    overwrite(path, 4 * 65536, bigEndian(0x50000n, 8))
    expect(await blockpull('check', path)).toMatchObject({ code: 2, stderr: '' })
  })

  test('is 63 for a format without a check', async () => {
    const path = await image()
    expect(await blockpull('check', '--format', 'raw', path)).toEqual({
      code: 63,
      stdout: '',
      stderr: `blockpull: image '${path}' is raw; only qcow2 images can be checked\n`,
    })
  })

  test('is 1 for an image that somebody writes to, which is named', async () => {
    const path = await image()
    const writer = spawn('qemu-io', ['-f', 'qcow2', path], { stdio: ['pipe', 'pipe', 'ignore'] })
    await new Promise((resolve) => writer.stdout.once('data', resolve))
    try {
      const { code, stdout } = await blockpull('check', '--json', path)
      expect(code).toBe(1)
      expect(JSON.parse(stdout)).toMatchObject({ event: 'end', state: 'failed', code: 'LOCKED' })
      expect(stdout).toContain(`pid ${writer.pid} (qemu-io)`)
    } finally {
      writer.stdin.end('quit\n')
      await new Promise((resolve) => writer.once('close', resolve))
    }
  })
})

describe('info', () => {
  test('says what QEMU made: features, snapshots and bitmaps', async () => {
    const path = `${temp.folder()}/image.qcow2`
    const options = 'cluster_size=16k,extended_l2=on,lazy_refcounts=on,refcount_bits=64,compression_type=zstd'
    await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '1M')
    await qemuImg('snapshot', '-c', 'clean', path)
    await qemuImg('resize', '-q', '-f', 'qcow2', path, '2M')
    await qemuImg('bitmap', '--add', '-g', '32k', '--disable', path, 'backup')
    const { code, stdout } = await blockpull('info', '--json', path)
    expect(code).toBe(0)
    expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({
      format: 'qcow2',
      virtualSize: 2097152,
      qcow2: {
        version: 3,
        clusterSize: 16384,
        refcountBits: 64,
        compression: 'zstd',
        features: ['compression-type', 'extended-l2', 'lazy-refcounts', 'bitmaps'],
        snapshots: [{ id: '1', name: 'clean', vmStateBytes: 0, diskSize: 1048576 }],
        bitmaps: [{ name: 'backup', granularity: 32768, inUse: false, recording: false }],
      },
    })
  })

  test('needs no backing file', async () => {
    const path = `${temp.folder()}/top.qcow2`
    await qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', 'gone.raw', '-F', 'raw', path, '1M')
    const { code, stdout } = await blockpull('info', path)
    expect(code).toBe(0)
    expect(stdout).toContain('backing file    gone.raw\n')
  })

  test('of a file without a known magic fails, and says what to do', async () => {
    const path = await image()
    overwrite(path, 0, Buffer.alloc(4))
    const { code, stderr } = await blockpull('info', path)
    expect(code).toBe(1)
    expect(stderr).toMatch(/is not a qcow2 image; if it is a raw disk, state the format 'raw'/)
  })
})
