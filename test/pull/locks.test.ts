// SPDX-License-Identifier: Apache-2.0
//
// QEMU's locks, seen from QEMU: what it may open while a pull runs, what a pull may open while QEMU runs, and that
// nothing stays locked behind a pull, whichever way it ended. What a refusal says is in refusals.test.ts.

import { afterAll, describe, expect, test } from 'vitest'
import { type BlockJob, pullImage } from '../../lib/index.js'
import { expectRefusal } from '../support/images/refusal.js'
import { type CaseChain, makeChain, pathAt, pullWell } from '../support/images/stream-case.js'
import { Puller } from '../support/processes/puller.js'
import { untilUnlocked } from '../support/qemu/qemu.js'
import { QemuHolder } from '../support/qemu/qemu-holder.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('locks')
afterAll(() => temp.remove())

const layers = ['the image that is pulled', 'the intermediate layer', 'the base'].map((name, layer) => ({
  name,
  layer,
}))

/** Three layers, the lower two with data. */
function threeLayers(): Promise<CaseChain> {
  const io = ['write -P 1 0 8M']
  return makeChain(temp.folder(), { size: '8M', io }, { size: '8M', io: ['write -P 2 0 4M'] }, { size: '8M' })
}

/** Whether QEMU gets its locks on a layer. */
async function qemuMayOpen(chain: CaseChain, layer: number, how: 'read-write' | 'read-only'): Promise<boolean> {
  const path = pathAt(chain, layer)
  const holder = await QemuHolder.open(path, how).catch((error: Error) => error)
  if (holder instanceof QemuHolder) {
    await holder.close()
    return true
  }
  expect(holder.message).toMatch(/Failed to get (shared )?"(write|consistent read)" lock/)
  return false
}

async function expectUnlocked(chain: CaseChain): Promise<void> {
  for (const { layer } of layers) expect(await qemuMayOpen(chain, layer, 'read-write')).toBe(true)
}

describe('while a pull runs', () => {
  const slowly = { bandwidth: '1MiB/s' }

  async function whilePulled(check: (chain: CaseChain, job: BlockJob<number>) => Promise<void>): Promise<void> {
    const chain = await threeLayers()
    const job = await pullImage(chain.top, slowly)
    try {
      await check(chain, job)
      expect(job.outcome).toBeNull()
    } finally {
      await job.abort()
    }
    await expectUnlocked(chain)
    await pullWell(chain)
  }

  test.each(['read-write', 'read-only'] as const)('QEMU cannot open the image that is pulled, %s', (how) =>
    whilePulled(async (chain) => expect(await qemuMayOpen(chain, 0, how)).toBe(false)),
  )

  test.each(layers.slice(1))('QEMU cannot write to $name', ({ layer }) =>
    whilePulled(async (chain) => expect(await qemuMayOpen(chain, layer, 'read-write')).toBe(false)),
  )

  test.each(layers.slice(1))('QEMU may read $name, as other guests on it do', ({ layer }) =>
    whilePulled(async (chain) => expect(await qemuMayOpen(chain, layer, 'read-only')).toBe(true)),
  )
})

describe('while QEMU runs', () => {
  test.each(layers)('writing to $name, a pull is refused; once it has ended, allowed', async ({ layer }) => {
    const chain = await threeLayers()
    const qemu = await QemuHolder.open(pathAt(chain, layer), 'read-write')
    const sentence = new RegExp(`${pathAt(chain, layer)}' is in use by .*pid ${qemu.pid} \\(qemu-io\\)`)
    try {
      await expectRefusal(chain.top, { code: 'LOCKED', sentence, exitCode: 4 })
    } finally {
      await qemu.close()
    }
    await pullWell(chain)
  })

  test('reading the base, as other guests on it do, a pull is allowed', async () => {
    const chain = await threeLayers()
    const qemu = await QemuHolder.open(pathAt(chain, 2), 'read-only')
    try {
      await pullWell(chain)
    } finally {
      await qemu.close()
    }
  })

  test('and dies with the image open, its locks are gone', async () => {
    const chain = await threeLayers()
    const qemu = await QemuHolder.open(chain.top, 'read-write')
    await qemu.kill()
    await pullWell(chain)
  })
})

describe('after a pull', () => {
  test('that completed, nothing is locked', async () => {
    const chain = await threeLayers()
    await pullWell(chain)
    await expectUnlocked(chain)
  })

  test('whose process was killed, nothing is locked once its last writes have ended', async () => {
    const chain = await threeLayers()
    const puller = new Puller('io_uring')
    const pull = puller.pull({ path: chain.top, options: { bytesPerSecond: 1048576 }, killAfterMs: 100 })
    await expect(pull).rejects.toThrow('SIGKILL')
    await untilUnlocked(chain.top)
    await expectUnlocked(chain)
    await pullWell(chain)
  })

  test('that was refused, nothing is locked', async () => {
    const chain = await threeLayers()
    await expect(pullImage(chain.top, { base: '/nowhere' })).rejects.toMatchObject({ code: 'NO_BASE' })
    await expectUnlocked(chain)
  })
})
