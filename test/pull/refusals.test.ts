// SPDX-License-Identifier: Apache-2.0
//
// What cannot be pulled is refused before the first write: by a code for programs, a sentence for people, and the
// exit code of the command. Each case is asked twice, of the API and of the command, and no file may change by it.
// Images that are damaged rather than merely unfit are in malformed-images.test.ts.

import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { pullImage } from '../../lib/index.js'
import { bigEndian, digestOf, overwrite } from '../support/images/files.js'
import { writeQcow2 } from '../support/images/qcow2-builder.mjs'
import { expectRefusal } from '../support/images/refusal.js'
import { makeChain, pulled } from '../support/images/stream-case.js'
import { unprivilegedBlockpull } from '../support/processes/command.js'
import { qemuImg } from '../support/qemu/qemu.js'
import { QemuHolder } from '../support/qemu/qemu-holder.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('refusals')
afterAll(() => temp.remove())

const overlay = (options = 'compat=1.1') =>
  makeChain(temp.folder(), { size: '1M', io: ['write -P 1 0 256k'] }, { size: '1M', options })

describe('the file named', () => {
  test('does not exist', async () => {
    const path = temp.file('missing.qcow2')
    await expectRefusal(path, { code: 'NOT_FOUND', sentence: /missing\.qcow2' failed: No such file or directory/ })
  })

  test('is empty or not an image', async () => {
    for (const content of ['', 'Q', 'This is no disk at all.\n'.repeat(40)]) {
      const path = temp.file('text')
      writeFileSync(path, content)
      await expectRefusal(path, {
        code: 'FORMAT_UNKNOWN',
        sentence: /is not a qcow2 image; if it is a raw disk, state/,
      })
    }
  })

  test('is raw without a stated format; with it, there is nothing to pull', async () => {
    const chain = await makeChain(temp.folder(), { format: 'raw', size: '1M' })
    await expectRefusal(chain.top, { code: 'FORMAT_UNKNOWN', sentence: /format 'raw'/ })
    const before = digestOf(chain.top)
    expect(await pulled(chain.top, { format: 'raw' })).toMatchObject({ bytesMoved: 0, released: [] })
    expect(digestOf(chain.top)).toBe(before)
  })

  test('is qcow2 but stated as raw', async () => {
    const { top } = await overlay()
    const before = digestOf(top)
    expect(await pulled(top, { format: 'raw' })).toMatchObject({ bytesMoved: 0, released: [] })
    expect(digestOf(top)).toBe(before)
  })

  test('has a header that is cut short', async () => {
    for (const length of [8, 71, 72, 103, 200]) {
      const { top } = await overlay()
      truncateSync(top, length)
      await expectRefusal(top, {
        code: 'IMAGE_CORRUPT',
        sentence: /is cut short|must lie after the header and within the file/,
      })
    }
  })

  test('is a folder, a FIFO or a device', async () => {
    const folder = temp.folder()
    await expectRefusal(folder, { code: 'UNSUPPORTED', sentence: /a directory, which is not supported/ })
    await expectRefusal('/dev/zero', { code: 'UNSUPPORTED', sentence: /a device, which is not supported/ })
  })

  test('may be read but not written', async () => {
    const { top } = await overlay()
    const before = digestOf(top)
    chmodSync(top, 0o444)
    const { code, stderr } = await unprivilegedBlockpull('pull', top)
    expect(code).toBe(1)
    expect(stderr).toMatch(/cannot be opened for writing: Permission denied; make it writable first/)
    expect(digestOf(top)).toBe(before)
  })

  test('may not be opened at all', async () => {
    const { top } = await overlay()
    chmodSync(top, 0)
    const { code, stdout } = await unprivilegedBlockpull('pull', '--json', top)
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ event: 'end', state: 'failed', code: 'ACCESS_DENIED' })
  })

  test.each(['read-write', 'read-only'] as const)('is open in QEMU, %s', async (how) => {
    const chain = await overlay()
    const qemu = await QemuHolder.open(chain.top, how)
    try {
      const sentence = new RegExp(`layer1' is in use by .*pid ${qemu.pid} \\(qemu-io\\)`)
      const error = await expectRefusal(chain.top, { code: 'LOCKED', sentence, exitCode: 4 })
      expect(error).toMatchObject({ holder: `pid ${qemu.pid} (qemu-io)`, retryable: true })
    } finally {
      await qemu.close()
    }
  })
})

describe('the chain', () => {
  test('has a backing file that is missing', async () => {
    const chain = await overlay()
    await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', 'gone', '-F', 'qcow2', chain.top)
    await expectRefusal(chain.top, {
      code: 'NOT_FOUND',
      sentence: /backing file '.*gone' of '.*layer1': .*No such file/,
    })
  })

  test.each([
    ['itself', ['layer0']],
    ['a layer above it', ['layer1', 'layer0']],
    ['the top of three', ['layer2', 'layer1', 'layer0']],
  ])('043: is a loop through %s', async (_title, names) => {
    const folder = temp.folder()
    await Promise.all(names.map((name) => makeChain(folder, { name, size: '1M' })))
    for (const [place, name] of names.entries()) {
      const below = names[place + 1] ?? names[0] ?? ''
      await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', below, '-F', 'qcow2', `${folder}/${name}`)
    }
    await expectRefusal(`${folder}/${names[0]}`, { code: 'CHAIN_LOOP', sentence: /chain is a loop/ })
  })

  test('043: is a loop through a symbolic link', async () => {
    const chain = await overlay()
    symlinkSync('layer1', `${chain.folder}/link`)
    await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', 'link', '-F', 'qcow2', chain.top)
    await expectRefusal(chain.top, { code: 'CHAIN_LOOP', sentence: /link' is in it already, as '.*layer1'/ })
  })

  test('114: states an unknown format, or none', async () => {
    const folder = temp.folder()
    await makeChain(folder, { name: 'base', size: '1M' })
    const header = { size: 1048576, backingFile: 'base' }
    writeQcow2(`${folder}/top`, { ...header, backingFormat: 'foo' })
    await expectRefusal(`${folder}/top`, { code: 'FEATURE_UNSUPPORTED', sentence: /'foo'.*not supported/ })
    writeQcow2(`${folder}/top`, header)
    await expectRefusal(`${folder}/top`, {
      code: 'FORMAT_UNKNOWN',
      sentence: /backing file '.*base' of '.*top': header of its overlay states no format for it/,
    })
    expect(await pulled(`${folder}/top`, { backingFormat: 'qcow2' })).toMatchObject({ state: 'completed' })
  })

  test.each(['nbd://localhost/disk', 'json:{"driver":"file"}', 'file:layer0', 'a:b'])(
    '126: names its backing file by a protocol, %s',
    async (name) => {
      const path = temp.file('protocol.qcow2')
      writeQcow2(path, { size: 1048576, backingFile: name, backingFormat: 'qcow2' })
      await expectRefusal(path, { code: 'POLICY', sentence: /is named by a protocol, which is not supported/ })
    },
  )

  test('has a folder or a device in it', async () => {
    const folder = temp.folder()
    mkdirSync(`${folder}/sub`)
    for (const backingFile of ['sub', '/dev/zero']) {
      writeQcow2(`${folder}/top`, { size: 1048576, backingFile, backingFormat: 'raw' })
      await expectRefusal(`${folder}/top`, { code: 'UNSUPPORTED', sentence: /only regular files can be opened/ })
    }
  })

  test('leads out of the allowed folders', async () => {
    const { top } = await overlay()
    const options = { backingPaths: [temp.folder('allowed')] }
    await expect(pullImage(top, options)).rejects.toMatchObject({ code: 'POLICY' })
  })

  test('has no such base', async () => {
    const chain = await overlay()
    await expect(pullImage(chain.top, { base: `${chain.folder}/other` })).rejects.toMatchObject({ code: 'NO_BASE' })
    await expect(pullImage(chain.top, { base: chain.top })).rejects.toMatchObject({ code: 'NO_BASE' })
  })

  test('has QED in it, anywhere', async () => {
    const folder = temp.folder()
    await qemuImg('create', '-q', '-f', 'qed', `${folder}/qed`, '1M')
    writeQcow2(`${folder}/mid`, { size: 1048576, backingFile: 'qed', backingFormat: 'qed' })
    writeQcow2(`${folder}/top`, { size: 1048576, backingFile: 'mid', backingFormat: 'qcow2' })
    for (const name of ['qed', 'mid', 'top']) {
      await expectRefusal(`${folder}/${name}`, { code: 'FEATURE_UNSUPPORTED', sentence: /QED.* not supported/i })
    }
  })
})

describe('an unsupported feature of the active image', () => {
  const feature = async (path: string, sentence: RegExp) => {
    await expectRefusal(path, { code: 'FEATURE_UNSUPPORTED', sentence })
    await expectRefusal(path, { code: 'FEATURE_UNSUPPORTED', sentence: /not supported/ })
  }

  test('an internal snapshot of a disk of another size', async () => {
    const { top } = await overlay()
    await qemuImg('snapshot', '-c', 's1', top)
    await qemuImg('resize', '-q', '-f', 'qcow2', top, '+1M')
    await feature(top, /snapshot 's1' of image .* is of a disk of 1048576 bytes, and the disk has 2097152 now/)
  })

  test('internal snapshots with refcounts that are too narrow to share clusters', async () => {
    const { top } = await overlay('refcount_bits=4')
    await qemuImg('snapshot', '-c', 's1', top)
    await expectRefusal(top, { code: 'FEATURE_UNSUPPORTED', sentence: /refcounts of 4 bits.*refcount_bits=16'/ })
    await qemuImg('amend', '-q', '-f', 'qcow2', '-o', 'refcount_bits=16', top)
    expect((await pulled(top)).state).toBe('completed')
  })

  test('extended L2 entries together with snapshots', async () => {
    const { top } = await overlay('extended_l2=on')
    await qemuImg('snapshot', '-c', 's1', top)
    await feature(top, /internal snapshots and extended L2 entries/)
  })

  test('an external data file', async () => {
    const folder = temp.folder()
    await feature((await overlay(`data_file=${folder}/data`)).top, /external data file/)
  })

  test('AES encryption', async () => {
    const folder = temp.folder()
    const secret = ['--object', 'secret,id=s,data=geheim']
    const options = 'encrypt.format=aes,encrypt.key-secret=s'
    await qemuImg('create', '-q', ...secret, '-f', 'qcow2', '-o', options, `${folder}/aes`, '1M')
    await feature(`${folder}/aes`, /encrypted \(AES\)/)
  })

  test('LUKS encryption', async () => {
    // Written by hand: qemu-img first measures how fast the machine hashes, and fails on a busy one.
    const { top } = await overlay()
    const cryptoHeader = { type: 0x0537be77, data: Buffer.alloc(16) }
    writeQcow2(top, { size: 1048576, backingFile: 'layer0', backingFormat: 'qcow2', extraExtensions: [cryptoHeader] })
    overwrite(top, 32, bigEndian(2n, 4))
    await feature(top, /encrypted \(LUKS\)/)
  })

  test.each([
    ['an unknown incompatible bit', 1n << 40n, /feature/],
    ['the dirty bit', 1n, /dirty bit.*blockpull check --repair all/],
    ['the corrupt bit', 2n, /corrupt bit.*blockpull check --repair all/],
  ])('%s', async (_title, bits, sentence) => {
    const { top } = await overlay()
    overwrite(top, 72, bigEndian(bits, 8))
    await feature(top, sentence)
  })
})
