// SPDX-License-Identifier: Apache-2.0
//
// QEMU is killed at each point of a pull, as by the kernel when memory runs out. The proxy before its monitor holds
// the pull at the very point; then QEMU dies, and the files must be right, whatever QEMU had in its caches.
//
//     job runs ──▶ pending ──▶ flush ──▶ finalize ──▶ flush ──▶ completed
//        ×1          ×2             ×3            ×4               ×5
//
// Up to ×3 the header has the old backing file. At ×4 it may have either, and what a guest reads is the same. What
// the flushes are for is shown by the last test, which has none.

import { afterAll, expect, test } from 'vitest'
import type { BlockJob } from '../../lib/index.js'
import { type CaseChain, makeChain } from '../support/images/stream-case.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { difference, info } from '../support/qemu/qemu.js'
import { finalize, flush } from '../support/qemu/qmp-proxy.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('kill-qemu')
afterAll(() => temp.remove())

/** Data in both lower layers, in enough places that tables have to be made. */
const chainOfThree = (): Promise<CaseChain> =>
  makeChain(
    temp.folder(),
    { size: '8M', io: ['write -P 1 0 3M', 'write -P 2 5M 1M'] },
    { size: '8M', io: ['write -P 3 2M 2M'] },
    { size: '8M', io: ['write -P 4 1M 128k'] },
  )

const start = async (style: 'blockdev' | 'drive' = 'blockdev') => {
  const live = await LiveDisk.start(await chainOfThree(), { proxy: true, style })
  return { live, proxy: live.proxy as NonNullable<typeof live.proxy>, lower: live.chain.layers[1]?.path ?? '' }
}

/** QEMU dies; the job must end as unknown, and say so in words. */
async function killUnder(job: BlockJob, live: LiveDisk): Promise<void> {
  await live.qemu.kill()
  await expect(job.done).rejects.toMatchObject({ code: 'JOB_VANISHED', path: live.chain.top })
  expect(job.outcome).toMatchObject({ state: 'unknown', released: [] })
  expect(job.outcome?.error?.message).toMatch(/^pull of disk 'vda' vanished: QEMU has ended/)
}

test.each(['blockdev', 'drive'] as const)(
  'while the job runs, its disk opened by -%s: the old chain',
  async (style) => {
    const { live, lower } = await start(style)
    const job = await (await live.domain()).blockPull('vda', { bytesPerSecond: 1 << 20 })
    for await (const { cur } of job) if (cur > 0) break
    await killUnder(job, live)
    expect(await live.complaints(lower, true)).toEqual([])
  },
)

test('at pending, before anything was flushed: the old chain, and an offline pull finishes it', async () => {
  const { live, proxy, lower } = await start()
  const held = proxy.hold(flush, 'before')
  const domain = await live.domain()
  const job = await domain.blockPull('vda')
  await held.reached
  expect(await live.jobs()).toEqual([
    { id: expect.stringMatching(/^blockpull-pull-vda-[0-9a-f]{8}$/), status: 'pending' },
  ])
  await killUnder(job, live)
  expect(await live.complaints(lower, true)).toEqual([])
  const offline = await domain.blockPull('vda')
  expect(await offline.done).toMatchObject({ state: 'completed' })
  expect(await live.complaints(null)).toEqual([])
})

test('flushed and not finalized: the old chain', async () => {
  const { live, proxy, lower } = await start()
  const held = proxy.hold(finalize, 'before')
  const job = await (await live.domain()).blockPull('vda')
  await held.reached
  await killUnder(job, live)
  expect(await live.complaints(lower, true)).toEqual([])
})

test('finalized and not flushed again: the old chain or none, and the same content', async () => {
  const { live, proxy, lower } = await start()
  const held = proxy.hold(finalize, 'after')
  const job = await (await live.domain()).blockPull('vda')
  await held.reached
  expect((await live.jobs()).map(({ status }) => status)).not.toContain('pending')
  await killUnder(job, live)
  const now = (await info(live.chain.top))['full-backing-filename'] ?? null
  expect([lower, null]).toContain(now)
  expect(await live.complaints(now, true)).toEqual([])
})

test('finalized down to a base and not flushed again: the old chain or the base, and the same content', async () => {
  const { live, proxy, lower } = await start()
  const base = live.chain.layers[2]?.path ?? ''
  const held = proxy.hold(finalize, 'after')
  const job = await (await live.domain()).blockPull('vda', { base })
  await held.reached
  await killUnder(job, live)
  const now = (await info(live.chain.top))['full-backing-filename'] ?? null
  expect([lower, base]).toContain(now)
  expect(await live.complaints(now, true)).toEqual([])
})

test.each(['blockdev', 'drive'] as const)('right after completed, opened by -%s: no backing file', async (style) => {
  const { live } = await start(style)
  const job = await (await live.domain()).blockPull('vda')
  const { released } = await job.done
  await live.qemu.kill()
  expect(released).toEqual(live.chain.layers.slice(1).map(({ path }) => path))
  expect(await live.complaints(null, true)).toEqual([])
})

test('without the flushes the same kill loses the pulled data', async () => {
  const { live } = await start()
  const client = await live.client()
  await client.execute('block-stream', { 'job-id': 'plain', device: 'layer2' })
  await client.event('BLOCK_JOB_COMPLETED')
  await live.qemu.kill()
  expect(await info(live.chain.top)).not.toHaveProperty('backing-filename')
  expect(await difference(`${live.chain.folder}/before.raw`, live.chain.top)).toMatch(/Content mismatch/)
})
