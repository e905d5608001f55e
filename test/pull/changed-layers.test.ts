// SPDX-License-Identifier: Apache-2.0
//
// Layers that change underneath a pull, at a random moment and in a random way, by programs that take no locks.
// Either the job completes, and the disk has what it had before; or it fails so that it can be tried again, and with
// the old file back in its place the disk reads as if there had been no pull.

import {
  appendFileSync,
  chmodSync,
  closeSync,
  copyFileSync,
  cpSync,
  openSync,
  renameSync,
  statSync,
  truncateSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BlockJob, BlockPullError, pullImage } from '../../lib/index.js'
import { makeChain, pathAt, pulled } from '../support/images/stream-case.js'
import { check, difference, flatten, info } from '../support/qemu/qemu.js'
import { isSoak, Random, runSeed } from '../support/random.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('changed')
afterAll(() => temp.remove())

const names = ['layer0', 'layer1', 'layer2'] as const
/** A chain that every round has a copy of, and what a guest reads from it. */
const template = temp.folder()
const flat = join(template, 'flat.raw')

/** L2 tables of the middle layer lie in the middle of its file: it is written where the bottom one is not, in turns. */
beforeAll(async () => {
  const recipe = { size: '4M', options: 'cluster_size=4096' }
  await makeChain(
    template,
    { format: 'raw', size: '4M', io: ['write -P 1 0 3M'] },
    { ...recipe, io: ['write -P 2 64k 300k', 'write -P 3 2560k 400k', 'write -P 5 3500k 64k'] },
    { ...recipe, io: ['write -P 7 1M 64k'] },
  )
  await flatten(join(template, 'layer2'), flat)
})

function overwrite(path: string, from: number, length: number): void {
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(length, 0x5a), 0, length, from)
  closeSync(file)
}

/** What may happen to a file; gives its name. */
type Change = (path: string, random: Random) => string

const changes: readonly [Change, ...Change[]] = [
  (path, random) => {
    const to = random.below(statSync(path).size)
    truncateSync(path, to)
    return `cut at ${to}`
  },
  (path, random) => {
    const to = Math.floor(random.below(statSync(path).size) / 4096) * 4096
    truncateSync(path, to)
    return `cut at the cluster at ${to}`
  },
  (path) => {
    overwrite(path, 0, statSync(path).size)
    return 'replaced in place'
  },
  (path) => {
    const { size } = statSync(path)
    truncateSync(path, 0)
    overwrite(path, 0, size)
    return 'cut and as long as before'
  },
  (path, random) => {
    const at = random.below(statSync(path).size)
    overwrite(path, at, 1)
    return `one byte at ${at}`
  },
  (path) => {
    appendFileSync(path, 'more')
    return 'grown'
  },
  (path) => {
    utimesSync(path, 1, 1)
    return 'touched'
  },
  (path) => {
    copyFileSync(path, `${path}.other`)
    overwrite(`${path}.other`, 0, statSync(path).size)
    renameSync(`${path}.other`, path)
    return 'another renamed over it'
  },
  (path) => {
    renameSync(path, `${path}.away`)
    return 'renamed'
  },
]

test(
  'random changes of random layers: never completed with other content than before',
  async () => {
    const seed = runSeed()
    console.log(`seed: BLOCKPULL_SEED=${seed}`)
    const ended = { completed: 0, failed: 0 }
    for (let round = 0; round < (isSoak ? 200 : 14); round++) {
      const random = new Random(`${seed}/${round}`)
      const folder = temp.folder()
      cpSync(template, folder, { recursive: true })
      const job = await pullImage(join(folder, 'layer2'), { bytesPerSecond: 8 * 1048576 })
      await sleep(random.below(450))
      const name = random.pick(['layer0', 'layer1'])
      const what = `round ${round}: ${name} ${random.pick(changes)(join(folder, name), random)}`
      ended[await judge(job, folder, what)]++
    }
    expect(ended.failed).toBeGreaterThan(isSoak ? 100 : 3)
    if (isSoak) expect(ended.completed).toBeGreaterThan(0)
  },
  isSoak ? 3_600_000 : 300_000,
)

async function judge(job: BlockJob<number>, folder: string, what: string): Promise<'completed' | 'failed'> {
  const top = join(folder, 'layer2')
  const error = await job.done.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (error === null) {
    await expectSound(top, what)
    return 'completed'
  }
  expect(BlockPullError.is(error) && error.retryable, `${what}: ${error}`).toBe(true)
  expect(await info(top), what).toMatchObject({ 'backing-filename': 'layer1' })
  for (const name of names.slice(0, 2)) copyFileSync(join(template, name), join(folder, name))
  await expectSound(top, what)
  return 'failed'
}

async function expectSound(top: string, what: string): Promise<void> {
  expect((await check(top)).code, what).toBe(0)
  expect(await difference(flat, top), what).toBeNull()
}

test('a table at the offset where the file was cut is not read as zeros', async () => {
  const chain = await makeChain(
    temp.folder(),
    { format: 'raw', size: '64M', io: ['write -P 1 0 64M'] },
    // One L2 table covers 2 MiB: the last of them is written last.
    { size: '64M', options: 'cluster_size=4096', io: ['write -P 2 0 4k', 'write -P 3 40M 4M', 'write -P 4 60M 4k'] },
    { size: '64M' },
  )
  const job = await pullImage(chain.top, { bytesPerSecond: 1048576 })
  while (job.progress.bytesMoved < 262144) await sleep(5)
  const middle = pathAt(chain, 1)
  // The last two clusters are that table and its data.
  truncateSync(middle, statSync(middle).size - 2 * 4096)
  job.setBandwidth({ bytesPerSecond: 0 })
  await expect(job.done).rejects.toMatchObject({ code: 'LOCKED', retryable: true, path: middle })
  expect(await info(chain.top)).toMatchObject({ 'backing-filename': 'layer1' })
})

test('a changed mode costs no copies: the next pull only checks again', async () => {
  const chain = await makeChain(temp.folder(), { size: '8M', io: ['write -P 1 0 8M'] }, { size: '8M' })
  await flatten(chain.top, join(chain.folder, 'flat.raw'))
  const job = await pullImage(chain.top, { bytesPerSecond: 4 * 1048576 })
  while (job.progress.bytesMoved < 262144) await sleep(5)
  chmodSync(pathAt(chain, 1), 0o600)
  job.setBandwidth({ bytesPerSecond: 0 })
  await expect(job.done).rejects.toMatchObject({
    code: 'LOCKED',
    retryable: true,
    message: expect.stringContaining('got another owner, mode, label or link count'),
  })
  const again = await pulled(chain.top)
  expect(again.bytesMoved).toBe(0)
  expect(await difference(join(chain.folder, 'flat.raw'), chain.top)).toBeNull()
})
