// SPDX-License-Identifier: Apache-2.0
//
// Bytes that another program has put behind the image, into its file: refused by name, or kept whatever happens to
// the pull, or written over if that is asked for. And no image that only QEMU's tools have written to is refused.

import {
  appendFileSync,
  closeSync,
  copyFileSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { connect, plan, pullImage } from '../../lib/index.js'
import { makeSoundImage } from '../support/images/sound-image.js'
import { type CaseChain, makeChain, pathAt, pulled } from '../support/images/stream-case.js'
import { blockpull } from '../support/processes/command.js'
import { Puller } from '../support/processes/puller.js'
import { check, compressedClusters, difference, flatten, info, qemuIo, untilUnlocked } from '../support/qemu/qemu.js'
import { isSoak, Random, runSeed } from '../support/random.js'
import { TempFolder } from '../support/temp-folder.js'

const seed = runSeed()
console.log(`seed: BLOCKPULL_SEED=${seed}`)
const temp = new TempFolder('trailing')
afterAll(() => temp.remove())

const mebibyte = 1048576

/** An overlay over two layers, with these bytes behind it; `end` is where its use ends. */
async function withTrailer(trailer: Buffer, size = '2M'): Promise<CaseChain & { readonly end: number }> {
  const chain = await makeChain(
    temp.folder(),
    { size, io: [`write -P 1 0 ${size}`] },
    { size, io: ['write -P 2 512k 512k'] },
    { size, io: ['write -P 3 64k 64k'] },
  )
  await flatten(chain.top, join(chain.folder, 'flat.raw'))
  const end = statSync(chain.top).size
  appendFileSync(chain.top, trailer)
  return { ...chain, end }
}

function random(bytes: number, generator = new Random(`${seed}/${bytes}`)): Buffer {
  const made = Buffer.from(Array.from({ length: Math.min(bytes, 4096) }, () => generator.below(256)))
  return Buffer.concat([Buffer.alloc(bytes - made.length, made), made]).fill(1, 0, 1)
}

function lastBytes(path: string, count: number): Buffer {
  const bytes = Buffer.alloc(count)
  const file = openSync(path, 'r')
  readSync(file, bytes, 0, count, statSync(path).size - count)
  closeSync(file)
  return bytes
}

async function expectWhole(chain: CaseChain, trailer: Buffer): Promise<void> {
  expect(lastBytes(chain.top, trailer.length).equals(trailer), 'what the file ends with').toBe(true)
  expect(await difference(join(chain.folder, 'flat.raw'), chain.top)).toBeNull()
  expect((await check(chain.top)).code).toBe(0)
}

test('foreign bytes refuse the pull before the first write, by name, and so does the plan', async () => {
  const chain = await withTrailer(Buffer.from('{"state":1}'))
  const sentence =
    `image '${chain.top}' has 11 bytes after its end, from offset ${chain.end} on, which another program may have ` +
    "put there; a pull overwrites them, so choose trailingData 'keep' (--trailing-data keep) or 'discard'"
  const refusal = { code: 'FEATURE_UNSUPPORTED', message: sentence }
  const before = statSync(chain.top).mtimeMs
  await expect(pullImage(chain.top)).rejects.toMatchObject(refusal)
  expect((await plan(chain.top)).refusals).toEqual([expect.objectContaining(refusal)])
  expect(statSync(chain.top).mtimeMs).toBe(before)
})

test.each([1, 11, 511, 4096 + 16, 65536, 100_001, mebibyte])('a trailer of %i bytes is kept', async (bytes) => {
  const trailer = random(bytes)
  const whole = await withTrailer(trailer)
  const found = { offset: whole.end, bytes }
  expect((await plan(whole.top, { trailingData: 'keep' })).trailingData).toEqual(found)
  const completion = await pulled(whole.top, { trailingData: 'keep' })
  expect(completion.trailingData).toEqual(found)
  await expectWhole(whole, trailer)
  expect(await info(whole.top)).not.toHaveProperty('backing-filename')
  const partial = await withTrailer(trailer)
  await pulled(partial.top, { trailingData: 'keep', base: pathAt(partial, 2) })
  await expectWhole(partial, trailer)
  await pulled(partial.top, { trailingData: 'keep' })
  await expectWhole(partial, trailer)
})

test('a trailer is kept over an abort, before anything is copied and in the middle', async () => {
  const trailer = random(1000)
  const chain = await withTrailer(trailer, '8M')
  const { size } = statSync(chain.top)
  for (const least of [0, mebibyte]) {
    const job = await pullImage(chain.top, { trailingData: 'keep', bytesPerSecond: 4 * mebibyte })
    while (job.progress.bytesMoved < least) await sleep(5)
    await job.abort()
    await expect(job.done).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(job.outcome?.trailingData?.bytes).toBe(1000)
    await expectWhole(chain, trailer)
  }
  expect(statSync(chain.top).size).toBeGreaterThan(size)
  await pulled(chain.top, { trailingData: 'keep' })
  await expectWhole(chain, trailer)
})

test(
  'a trailer is kept over pulls that are killed at any moment',
  async () => {
    const deaths = isSoak ? 200 : 8
    let died = 0
    for (let image = 0; died < deaths; image++) {
      const own = new Random(`${seed}/kill/${image}`)
      const trailer = random(own.scaled(1, mebibyte), own)
      const chain = await withTrailer(trailer, '8M')
      const options = { trailingData: 'keep', bytesPerSecond: own.pick([8, 16, 64]) * mebibyte } as const
      for (let turn = 0; turn < 5 && died < deaths; turn++) {
        const puller = new Puller(own.pick(['io_uring', 'threads']))
        await puller.pull({ path: chain.top, options, killAfterMs: own.scaled(1, 400) }).then(
          () => undefined,
          () => {
            died++
          },
        )
        await puller.kill()
        await untilUnlocked(chain.top)
        await expectThereAfterDeath(chain, trailer, `image ${image}, death ${turn + 1}`)
      }
      await pulled(chain.top, { trailingData: 'keep' })
      await expectWhole(chain, trailer)
    }
    expect(died).toBe(deaths)
  },
  isSoak ? 3_600_000 : 300_000,
)

/** At the end of the file; in the first ms of a pull, where the next one finds it. */
async function expectThereAfterDeath(chain: CaseChain, trailer: Buffer, what: string): Promise<void> {
  expect([0, 3], what).toContain((await check(chain.top)).code)
  expect(await difference(join(chain.folder, 'flat.raw'), chain.top), what).toBeNull()
  if (lastBytes(chain.top, trailer.length).equals(trailer)) return
  const copy = `${chain.top}.copy`
  copyFileSync(chain.top, copy)
  await pulled(copy, { trailingData: 'keep' })
  expect(lastBytes(copy, trailer.length).equals(trailer), what).toBe(true)
}

describe('a pull that keeps a trailer and dies leaves it raised; a program that', () => {
  async function killed() {
    const trailer = random(1000)
    const chain = await withTrailer(trailer)
    const puller = new Puller('io_uring')
    const options = { trailingData: 'keep', bytesPerSecond: mebibyte } as const
    await expect(puller.pull({ path: chain.top, options, killAfterMs: 500 })).rejects.toThrow()
    await puller.kill()
    await untilUnlocked(chain.top)
    expect(lastBytes(chain.top, trailer.length).equals(trailer)).toBe(true)
    return { chain, trailer }
  }

  test('appends to the file finds both trailers at the end', async () => {
    const { chain, trailer } = await killed()
    appendFileSync(chain.top, 'RECORD-2')
    await pulled(chain.top, { trailingData: 'keep' })
    expect(lastBytes(chain.top, 1008).equals(Buffer.concat([trailer, Buffer.from('RECORD-2')]))).toBe(true)
    expect((await check(chain.top)).code).toBe(0)
  })

  test('writes another in its place finds the new one, not the old one', async () => {
    const { chain, trailer } = await killed()
    truncateSync(chain.top, statSync(chain.top).size - trailer.length)
    appendFileSync(chain.top, 'RECORD-2')
    const { trailingData } = await pulled(chain.top, { trailingData: 'keep' })
    expect(trailingData?.bytes).toBe(8)
    expect(lastBytes(chain.top, 8).toString()).toBe('RECORD-2')
    expect((await check(chain.top)).code).toBe(0)
  })
})

test('a changed layer ends the pull, and the trailer is behind the image again', async () => {
  const trailer = random(1000)
  const chain = await withTrailer(trailer)
  const before = statSync(chain.top).size
  const job = await pullImage(chain.top, { trailingData: 'keep', bytesPerSecond: 65536 })
  appendFileSync(join(chain.folder, 'layer0'), 'x')
  job.setBandwidth('0')
  await expect(job.done).rejects.toMatchObject({ code: 'LOCKED' })
  expect(lastBytes(chain.top, trailer.length).equals(trailer)).toBe(true)
  expect(statSync(chain.top).size).toBeLessThan(before + (4 << 20))
})

test('a trailer that begins within a leaked cluster is kept whole', async () => {
  const chain = await makeChain(temp.folder(), { size: '4M', io: ['write -P 1 0 4M'] }, { size: '4M' })
  await qemuIo(chain.top, 'qcow2', 'write -c -P 5 0 64k')
  const file = openSync(chain.top, 'r+')
  writeSync(file, Buffer.alloc(8), 0, 8, 4 << 16)
  closeSync(file)
  expect((await check(chain.top)).code).toBe(3)
  const trailer = random(150_000)
  appendFileSync(chain.top, trailer)
  await pulled(chain.top, { trailingData: 'keep' })
  expect(lastBytes(chain.top, trailer.length).equals(trailer)).toBe(true)
})

test('whole clusters and a one-word length are not an abandoned table', async () => {
  const length = Buffer.alloc(8)
  length.writeBigUInt64BE(65536n)
  const chain = await makeChain(temp.folder(), { size: '4M', io: ['write -P 1 0 4M'] }, { size: '4M' })
  truncateSync(chain.top, 4 << 16)
  appendFileSync(chain.top, Buffer.concat([random(65536), length]))
  await expect(pulled(chain.top)).rejects.toMatchObject({ code: 'FEATURE_UNSUPPORTED' })
})

test('discard overwrites it, and the outcome says what was overwritten', async () => {
  const chain = await withTrailer(random(70_000))
  const found = { offset: chain.end, bytes: 70_000 }
  expect((await plan(chain.top, { trailingData: 'discard' })).trailingData).toEqual(found)
  expect((await pulled(chain.top, { trailingData: 'discard' })).trailingData).toEqual(found)
  expect((await plan(chain.top, { trailingData: 'keep' })).trailingData).toBeNull()
  expect((await check(chain.top)).code).toBe(0)
  expect(await difference(join(chain.folder, 'flat.raw'), chain.top)).toBeNull()
})

test('whole clusters are taken for leftovers, except with a known magic', async () => {
  const padded = Buffer.alloc(65536, 5)
  const leftover = await withTrailer(padded)
  expect((await pulled(leftover.top)).trailingData).toBeNull()
  padded.write('GONDCPT1', 65536 - 16)
  const known = await withTrailer(padded)
  await expect(pullImage(known.top)).rejects.toMatchObject({ code: 'FEATURE_UNSUPPORTED' })
  await pulled(known.top, { trailingData: 'keep' })
  await expectWhole(known, padded)
})

test('the exact end of a compressed cluster is the end of use', async () => {
  const chain = await makeChain(temp.folder(), { size: '1M', io: ['write -P 1 0 1M'] }, { size: '1M' })
  await qemuIo(chain.top, 'qcow2', 'write -c -P 5 0 64k')
  expect((await plan(chain.top)).refusals).toEqual([])
  appendFileSync(chain.top, '{"a":1}')
  await expect(pullImage(chain.top)).rejects.toMatchObject({
    message: expect.stringContaining('has 7 bytes after its end'),
  })
})

test("compressed clusters that the guest has overwritten are nobody else's bytes", async () => {
  const chain = await makeChain(temp.folder(), { size: '1M', io: ['write -P 1 0 1M'] }, { size: '1M' })
  const compressed = ['write -c -P 5 0 64k', 'write -c -P 6 64k 64k', 'write -c -P 7 128k 64k']
  await qemuIo(chain.top, 'qcow2', ...compressed, 'write -z 64k 128k')
  expect(statSync(chain.top).size % 65536).not.toBe(0)
  expect((await plan(chain.top)).refusals).toEqual([])
  expect((await pulled(chain.top)).trailingData).toBeNull()
})

test('a shut-off domain can keep a trailer, but not discard it', async () => {
  const trailer = random(100)
  const chain = await withTrailer(trailer)
  const disks = [{ target: 'vda', source: chain.top, format: 'qcow2' }]
  const connection = await connect({ domains: [{ name: 'vm0', disks }] })
  const domain = await connection.lookupByName('vm0')
  await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'FEATURE_UNSUPPORTED' })
  await expect(domain.blockPull('vda', { trailingData: 'discard' })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  await (await domain.blockPull('vda', { trailingData: 'keep' })).done
  await connection.close()
  await expectWhole(chain, trailer)
})

test('the command keeps and reports a trailer, and discards only that of a bare image', async () => {
  const chain = await withTrailer(random(300))
  const refused = await blockpull('pull', chain.top, pathAt(chain, 1), '--trailing-data', 'discard')
  expect(refused.code).toBe(2)
  expect(refused.stderr).toContain('--trailing-data discard takes one IMAGE')
  const planned = await blockpull('pull', '--dry-run', '--trailing-data', 'keep', chain.top)
  expect(planned.stdout).toContain(`from offset ${chain.end}`)
  const done = await blockpull('pull', '--trailing-data', 'keep', chain.top)
  expect(done.code).toBe(0)
  expect(done.stdout).toContain(`300 bytes lay behind the image, from offset ${chain.end} on`)
})

test(
  "images as QEMU's tools leave them are not refused",
  async () => {
    const images = isSoak ? 300 : 12
    const base = join(temp.folder(), 'base.raw')
    writeFileSync(base, Buffer.alloc(4 * mebibyte, random(1000)))
    const alarms: string[] = []
    for (let number = 0; number < images; number++) {
      const made = await makeSoundImage(temp.folder(), base, new Random(`${seed}/sound/${number}`))
      const { refusals } = await plan(made.path)
      const isAlarm = refusals.some(({ message }) => message.includes('after its end'))
      // What is left of compressed clusters, where the image has no other, is named in docs/crash-safety.md.
      const isNamed = made.wasCompressed && (await compressedClusters(made.path)) === 0
      if (isAlarm && !isNamed) alarms.push(`image ${number}: ${made.story.join(', ')}`)
    }
    expect(alarms).toEqual([])
  },
  isSoak ? 3_600_000 : 300_000,
)
