// SPDX-License-Identifier: Apache-2.0
//
// Repairs as a user meets them: what killed programs leave, an image in use, a file that may not be written, a full
// disk, a death in the middle; and `blockpull check --repair` as a process.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { checkImage, pullImage } from '../../lib/index.js'
import { bigEndian, digestOf, overwrite } from '../support/images/files.js'
import { blockpull, commandFile, unprivilegedBlockpull } from '../support/processes/command.js'
import { Tmpfs } from '../support/processes/mounts.js'
import { run } from '../support/processes/run-program.js'
import { check, difference, flatten, qemuImg, qemuIo, tryQemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('repair')
afterAll(() => temp.remove())

const cluster = 65536
const copied = 1n << 63n
/** In an image of qemu-img with clusters of 64 KiB: refcount table, its block, the L1 and the L2 table. */
const place = { refcountTable: cluster, refcounts: 2 * cluster, l1: 3 * cluster, l2: 4 * cluster }

/** An image with two clusters of data, 5 and 6. */
async function image(options = 'compat=1.1'): Promise<string> {
  const path = `${temp.folder()}/image.qcow2`
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '16M')
  await qemuIo(path, 'qcow2', 'write -P 1 0 128k')
  return path
}

const leak = (path: string) => overwrite(path, place.refcounts + 2 * 5, Buffer.from([0, 2, 0, 2]))
const lower = (path: string) => overwrite(path, place.refcounts + 2 * 5, Buffer.alloc(4))
const nothing = { errors: 0, leaks: 0 }

async function expectSound(path: string): Promise<void> {
  expect(await checkImage(path)).toMatchObject(nothing)
  expect((await check(path)).code).toBe(0)
}

describe('what is wrong is mended:', () => {
  test('leaks, in place', async () => {
    const path = await image()
    leak(path)
    const size = readFileSync(path).length
    expect(await checkImage(path, { repair: 'all' })).toMatchObject({ ...nothing, repaired: { errors: 2, leaks: 2 } })
    expect(readFileSync(path).length).toBe(size)
    await expectSound(path)
  })

  test('with errors, not leaks alone', async () => {
    const path = await image()
    leak(path)
    const before = digestOf(path)
    expect(await checkImage(path, { repair: 'leaks' })).toMatchObject({ errors: 2, leaks: 2, repaired: nothing })
    expect(digestOf(path)).toBe(before)
  })

  test('refcounts that are too low, written anew', async () => {
    const path = await image()
    lower(path)
    const report = await checkImage(path, { repair: 'all', bigint: true })
    expect(report).toMatchObject({ errors: 0n, leaks: 0n, repaired: { errors: 4n, leaks: 0n } })
    await expectSound(path)
  })

  test.each(['corrupt', 'dirty'])('the %s bit, even if nothing else is wrong', async (bit) => {
    const path = await image()
    overwrite(path, 72, bigEndian(bit === 'dirty' ? 1n : 2n, 8))
    expect(await checkImage(path, { repair: 'leaks' })).toMatchObject({ ...nothing, repaired: nothing })
    expect(readFileSync(path).readBigUInt64BE(72)).toBe(0n)
  })

  test('but the corrupt bit stays with an entry that cannot be right', async () => {
    const path = await image()
    overwrite(path, 72, bigEndian(2n, 8))
    overwrite(path, place.l2, bigEndian(copied | 0x50002n, 8))
    const before = digestOf(path)
    expect(await checkImage(path, { repair: 'all' })).toMatchObject({ errors: 1, repaired: nothing })
    expect(digestOf(path)).toBe(before)
  })

  test.each(['write -P 5 2M 3M', 'write -P 5 2M 512'])(
    'what a killed QEMU left with lazy refcounts: %s',
    async (write) => {
      const path = await image('lazy_refcounts=on')
      const command = ['-t', 'none', '-f', 'qcow2', '-c', write, '-c', 'flush', '-c', write, '-c', 'abort', path]
      await run('qemu-io', command)
      expect(readFileSync(path).readBigUInt64BE(72)).toBe(1n)
      const raw = `${path}.raw`
      const copy = `${path}.copy`
      copyFileSync(path, copy)
      await flatten(copy, raw)
      expect(await checkImage(path, { repair: 'all' })).toMatchObject(nothing)
      expect(readFileSync(path).readBigUInt64BE(72)).toBe(0n)
      await expectSound(path)
      expect(await difference(raw, path)).toBe(null)
    },
  )

  test('an image that a symbolic link names', async () => {
    const path = await image()
    lower(path)
    const link = `${temp.folder()}/link`
    symlinkSync(path, link)
    expect(await checkImage(link, { repair: 'all' })).toMatchObject(nothing)
    await expectSound(path)
  })

  test('an image with an external data file', async () => {
    const path = await image(`data_file=${temp.folder()}/data.raw`)
    const raw = `${path}.raw`
    await flatten(path, raw)
    overwrite(path, place.refcounts + 2 * 2, Buffer.alloc(2))
    expect(await checkImage(path, { repair: 'all' })).toMatchObject(nothing)
    await expectSound(path)
    expect(await difference(raw, path)).toBe(null)
  })

  // QEMU measures the speed of its key derivation, which takes long on a busy machine.
  test('an encrypted image', { timeout: 240_000 }, async () => {
    const path = `${temp.folder()}/luks.qcow2`
    const secret = ['--object', 'secret,id=key,data=abc']
    const options = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=1'
    await qemuImg('create', '-q', '-f', 'qcow2', ...secret, '-o', options, path, '4M')
    const before = readFileSync(path)
    overwrite(path, Number(before.readBigUInt64BE(48)), bigEndian(0n, 8))
    expect(await checkImage(path, { repair: 'all' })).toMatchObject(nothing)
    expect(await checkImage(path)).toMatchObject(nothing)
    expect(readFileSync(path).subarray(3 * cluster, before.length)).toEqual(before.subarray(3 * cluster))
  })

  test('an image whose snapshot and bitmap stay', async () => {
    const path = await image()
    await qemuImg('snapshot', '-c', 'one', path)
    await qemuIo(path, 'qcow2', 'write -P 2 0 64k')
    await qemuImg('bitmap', '--add', path, 'backup')
    const raw = `${path}.raw`
    const snapshot = () => qemuImg('convert', '-f', 'qcow2', '-l', 'snapshot.name=one', '-O', 'raw', path, raw)
    await snapshot()
    const before = digestOf(raw)
    lower(path)
    expect(await checkImage(path, { repair: 'all' })).toMatchObject({ ...nothing, snapshots: 1, bitmaps: 1 })
    await snapshot()
    expect(digestOf(raw)).toBe(before)
    await expectSound(path)
  })
})

describe('nothing is written', () => {
  test('if another program has the image open, which is named', async () => {
    const path = await image()
    lower(path)
    const before = digestOf(path)
    for (const mode of [[], ['-r']]) {
      const user = spawn('qemu-io', [...mode, '-f', 'qcow2', path], { stdio: ['pipe', 'pipe', 'ignore'] })
      await once(user.stdout, 'data')
      try {
        const holder = expect.objectContaining({ code: 'LOCKED', path })
        await expect(checkImage(path, { repair: 'all' })).rejects.toEqual(holder)
        const { code, stderr } = await blockpull('check', '--repair', 'all', path)
        expect(code).toBe(1)
        expect(stderr).toContain(`pid ${user.pid} (qemu-io)`)
      } finally {
        user.stdin.end('quit\n')
        await once(user, 'close')
      }
    }
    expect(digestOf(path)).toBe(before)
  })

  test('during a pull', async () => {
    const base = await image()
    const path = `${temp.folder()}/top.qcow2`
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', path)
    const job = await pullImage(path, { bandwidth: '4KiB/s' })
    await expect(checkImage(path, { repair: 'all' })).rejects.toMatchObject({ code: 'LOCKED', path })
    await expect(checkImage(base, { repair: 'all' })).rejects.toMatchObject({ code: 'LOCKED', path: base })
    await job.abort()
    await job.done.catch(() => {})
    await expectSound(path)
  })

  test('into a file that may not be written', async () => {
    const path = await image()
    lower(path)
    chmodSync(path, 0o444)
    const before = digestOf(path)
    const { code, stdout } = await unprivilegedBlockpull('check', '--json', '--repair', 'all', path)
    expect([code, JSON.parse(stdout)]).toMatchObject([1, { state: 'failed', code: 'READ_ONLY' }])
    expect(digestOf(path)).toBe(before)
  })

  test('behind bytes of another program, whose leaks are still taken back', async () => {
    const path = await image()
    appendFileSync(path, 'a record of somebody')
    const broken = `${path}.broken`
    copyFileSync(path, broken)
    lower(broken)
    const before = digestOf(broken)
    await expect(checkImage(broken, { repair: 'all' })).rejects.toMatchObject({ code: 'FEATURE_UNSUPPORTED' })
    expect(digestOf(broken)).toBe(before)
    overwrite(path, place.refcounts + 2 * 9, Buffer.from([0, 1]))
    overwrite(path, place.refcounts + 2 * 7, Buffer.from([0, 1]))
    expect(await checkImage(path, { repair: 'leaks' })).toMatchObject({ ...nothing, repaired: { leaks: 1 } })
    expect(readFileSync(path).toString('latin1').endsWith('a record of somebody')).toBe(true)
  })

  test('behind a file that was cut short, whose lost clusters an entry still names', async () => {
    const path = await image()
    lower(path)
    truncateSync(path, 6 * cluster)
    const before = digestOf(path)
    const refusal = { code: 'IMAGE_CORRUPT', message: expect.stringContaining('refers to places behind its end') }
    await expect(checkImage(path, { repair: 'all' })).rejects.toMatchObject(refusal)
    expect(digestOf(path)).toBe(before)
  })

  test('that a full disk would have to take, and the image is as before', async () => {
    const original = await image()
    lower(original)
    const tmpfs = await Tmpfs.mount(temp.folder(), '1m')
    try {
      const path = `${tmpfs.path}/image.qcow2`
      copyFileSync(original, path)
      await run('dd', ['if=/dev/zero', `of=${tmpfs.path}/ballast`, 'bs=4096'])
      const before = digestOf(path)
      await expect(checkImage(path, { repair: 'all' })).rejects.toMatchObject({ code: 'NO_SPACE', path })
      expect(digestOf(path)).toBe(before)
      await tmpfs.resize('4m')
      expect(await checkImage(path, { repair: 'all' })).toMatchObject(nothing)
      await expectSound(path)
    } finally {
      await tmpfs.unmount()
    }
  })

  test('by a second repair', async () => {
    const path = await image()
    lower(path)
    await checkImage(path, { repair: 'all' })
    const before = digestOf(path)
    expect(await checkImage(path, { repair: 'all' })).toMatchObject({ ...nothing, repaired: nothing })
    expect(digestOf(path)).toBe(before)
  })
})

describe('the command', () => {
  test('says what it has done, and ends as a check of the repaired image', async () => {
    const path = await image()
    lower(path)
    const use = `${path}: sound; 2 of 256 clusters in use (0.8 %)\n`
    const stdout = `${path}: 4 errors and 0 leaks repaired\n${use}`
    expect(await blockpull('check', '--repair', 'all', path)).toEqual({ code: 0, stdout, stderr: '' })
  })

  test('has the figures in JSON', async () => {
    const path = await image()
    lower(path)
    const { code, stdout } = await blockpull('check', '--json', '--repair', 'all', path)
    const report = JSON.parse(stdout.split('\n')[0] ?? '')
    expect([code, report]).toMatchObject([0, { errors: 0, repaired: { errors: 4, leaks: 0 } }])
    const plain = await blockpull('check', '--json', path)
    expect(JSON.parse(plain.stdout.split('\n')[0] ?? '')).toMatchObject({ repaired: null })
  })

  test('advises what helps with the rest: code 2', async () => {
    const path = await image()
    leak(path)
    const leaks = await blockpull('check', '--repair', 'leaks', path)
    expect(leaks.code).toBe(2)
    expect(leaks.stdout).toContain(`${path}: with errors nothing is taken back; try '--repair all'\n`)
    overwrite(path, place.l2 + 8 * 40, bigEndian(copied | 0x50002n, 8))
    const all = await blockpull('check', '--repair', 'all', path)
    expect(all.code).toBe(2)
    expect(all.stdout).toContain(`${path}: what cannot be right is left, and nothing is freed; 'qemu-img convert'`)
  })

  test('leaves leaks that an unknown feature may own: code 3', async () => {
    const path = await image()
    overwrite(path, place.refcounts + 2 * 7, Buffer.from([0, 1]))
    truncateSync(path, 8 * cluster)
    overwrite(path, 88, bigEndian(1n << 40n, 8))
    const before = digestOf(path)
    const { code, stdout } = await blockpull('check', '--repair', 'all', path)
    expect(code).toBe(3)
    expect(stdout).toContain(
      `${path}: leaks are left, since an entry or a feature that was not understood may own them\n`,
    )
    expect(digestOf(path)).toBe(before)
  })

  test('refuses another scope with code 1, and a raw image with code 63', async () => {
    const path = await image()
    const wrong = await blockpull('check', '--repair', 'wrong', path)
    expect(wrong).toMatchObject({ code: 1, stdout: '' })
    expect(wrong.stderr).toContain("--repair is 'wrong'; expected 'leaks' or 'all'")
    expect(await blockpull('check', '--repair', 'all', '--format', 'raw', path)).toMatchObject({ code: 63 })
  })
})

test('a repair that is killed at any moment harms nothing, and the next one finishes', {
  timeout: 120_000,
}, async () => {
  const original = `${temp.folder()}/image.qcow2`
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', original, '64M')
  await tryQemuIo(original, 'qcow2', 'write -P 1 0 24M')
  const bytes = readFileSync(original)
  const table = Number(bytes.readBigUInt64BE(48))
  for (let entry = 3; entry < 40; entry += 1) bytes.writeBigUInt64BE(0n, table + 8 * entry)
  const raw = `${original}.raw`
  await flatten(original, raw)
  const path = `${original}.broken`
  let deaths = 0
  for (let wait = 40; wait < 340; wait += 50) {
    writeFileSync(path, bytes)
    const repair = spawn(process.execPath, [commandFile, 'check', '--repair', 'all', path], { stdio: 'ignore' })
    const closed = once(repair, 'close')
    await delay(wait)
    repair.kill('SIGKILL')
    const [, signal] = await closed
    deaths += signal === 'SIGKILL' ? 1 : 0
    expect(await difference(raw, path)).toBe(null)
    expect(await checkImage(path, { repair: 'all' })).toMatchObject(nothing)
    await expectSound(path)
    expect(await difference(raw, path)).toBe(null)
  }
  expect(deaths).toBeGreaterThan(0)
})
