// SPDX-License-Identifier: Apache-2.0
//
// Programs that take no locks and touch the files of a pull while it runs: `mv`, `rm`, `truncate`. What they do is a
// mistake; it must not be called a completed pull, and must not lose more than they did.

import { copyFileSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { type BlockJob, pullImage } from '../../lib/index.js'
import { type CaseChain, makeChain, pathAt, pullWell } from '../support/images/stream-case.js'
import { check, difference, flatten, info } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('interference')
afterAll(() => temp.remove())

/** An overlay on a base of that format, 8 MiB of data in the base. */
function overlay(format: 'qcow2' | 'raw' = 'qcow2'): Promise<CaseChain> {
  return makeChain(temp.folder(), { format, size: '8M', io: ['write -P 1 0 8M'] }, { size: '8M' })
}

/** A pull that has moved something and is held back until it is let go on. */
async function begun(chain: CaseChain): Promise<BlockJob<number>> {
  const job = await pullImage(chain.top, { bytesPerSecond: 1048576 })
  while (job.progress.bytesMoved < 262144) await sleep(5)
  return job
}

/** Lets it go on; it must fail in this way. */
async function expectFailure(job: BlockJob<number>, failure: object): Promise<void> {
  job.setBandwidth({ bytesPerSecond: 0 })
  await expect(job.done).rejects.toMatchObject(failure)
  expect(job.outcome).toMatchObject({ state: 'failed', released: [] })
}

describe('the image that is pulled', () => {
  test('is replaced by another file: the job fails, and either file is whole', async () => {
    const chain = await overlay()
    await flatten(chain.top, `${chain.folder}/flat.raw`)
    copyFileSync(chain.top, `${chain.folder}/copy`)
    const job = await begun(chain)
    renameSync(chain.top, `${chain.folder}/moved`)
    renameSync(`${chain.folder}/copy`, chain.top)
    await expectFailure(job, {
      code: 'LOCKED',
      retryable: true,
      path: chain.top,
      message: expect.stringContaining('was replaced'),
    })
    for (const path of [chain.top, `${chain.folder}/moved`]) {
      expect((await check(path)).code).toBe(0)
      expect(await difference(`${chain.folder}/flat.raw`, path)).toBeNull()
      expect(await info(path)).toMatchObject({ 'backing-filename': 'layer0' })
    }
    await pullWell(chain)
  })

  test('is removed: the job fails', async () => {
    const chain = await overlay()
    const job = await begun(chain)
    rmSync(chain.top)
    await expectFailure(job, { code: 'NOT_FOUND' })
  })
})

test('a working directory that changes during the pull is no interference', async () => {
  const chain = await overlay()
  const before = process.cwd()
  process.chdir(chain.folder)
  try {
    const job = await pullImage('layer1', { bytesPerSecond: 1048576 })
    process.chdir('/')
    job.setBandwidth({ bytesPerSecond: 0 })
    expect((await job.done).state).toBe('completed')
  } finally {
    process.chdir(before)
  }
})

describe('a backing file', () => {
  test.each(['raw', 'qcow2'] as const)(
    'is cut, %s: the job fails and copies no zeroes in its place',
    async (format) => {
      const chain = await overlay(format)
      const job = await begun(chain)
      truncateSync(pathAt(chain, 1), 4 * 1048576)
      await expectFailure(job, { code: 'LOCKED', message: expect.stringMatching(/layer0' has shrunk/) })
      expect((await check(chain.top)).code).toBe(0)
      expect(await info(chain.top)).toMatchObject({ 'backing-filename': 'layer0' })
    },
  )

  test('is removed: its bytes are still read, and the pull completes', async () => {
    const chain = await overlay()
    await flatten(chain.top, `${chain.folder}/flat.raw`)
    const job = await begun(chain)
    rmSync(pathAt(chain, 1))
    job.setBandwidth({ bytesPerSecond: 0 })
    expect((await job.done).state).toBe('completed')
    expect(await difference(`${chain.folder}/flat.raw`, chain.top)).toBeNull()
  })
})
