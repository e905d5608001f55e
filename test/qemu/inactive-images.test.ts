// SPDX-License-Identifier: Apache-2.0
//
// Guests that are saved, migrated and continued around a pull. QEMU skips what a stream should write while the images
// are inactive and counts it as done; no pull may complete on that.

import { closeSync, openSync, writeSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { makeChain } from '../support/images/stream-case.js'
import { GuestPuller } from '../support/processes/guest-puller.js'
import { beginSlowMigration, cancelMigration, save, untilStatus } from '../support/qemu/guest-states.js'
import { LiveDisk, type LiveDiskOptions } from '../support/qemu/live-disk.js'
import { expectWhole } from '../support/qemu/live-verdict.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('inactive-images')
afterAll(() => temp.remove())

const slow = { bytesPerSecond: 1 << 19 }

async function start(change: (path: string) => void = () => undefined, options: LiveDiskOptions = {}) {
  const chain = await makeChain(
    temp.folder(),
    { name: 'base', size: '4M', io: ['write -P 1 0 4M'] },
    { name: 'top', size: '4M', io: ['write -P 2 0 64k'] },
  )
  change(chain.top)
  const live = await LiveDisk.start(chain, options)
  return { live, client: await live.client() }
}

describe('a guest that is saved in the middle of a pull, and continues', () => {
  test.each([
    ['runs', true],
    ['was never started', false],
  ])('%s: the pull is restarted, and nothing is lost', async (_, runs) => {
    const { live, client } = await start()
    if (runs) await client.execute('cont')
    const domain = await live.domain()
    const job = await domain.blockPull('vda', slow)
    await save(client)
    // Whatever the stream goes over now, QEMU skips; it may have been paused too late for that.
    await domain.blockJobSetSpeed('vda', '0')
    await client.execute('cont')
    expect(await job.done).toMatchObject({ state: 'completed', verified: true })
    await expectWhole(live)
  })

  test('several times: the same', async () => {
    const { live, client } = await start()
    await client.execute('cont')
    const domain = await live.domain()
    const job = await domain.blockPull('vda', slow)
    for (let round = 0; round < 3; round += 1) {
      await save(client)
      await client.execute('cont')
    }
    await domain.blockJobSetSpeed('vda', '0')
    expect(await job.done).toMatchObject({ state: 'completed', verified: true })
    await expectWhole(live)
  })

  test('an abort while the guest is saved cancels the pull, and the backing file stays', async () => {
    const { live, client } = await start()
    await client.execute('cont')
    const job = await (await live.domain()).blockPull('vda', slow)
    await save(client)
    expect(await job.abort()).toMatchObject({ state: 'cancelled' })
    await client.execute('cont')
    await expectWhole(live, `${live.chain.folder}/base`)
  })
})

test('a migration pauses the pull, which continues once the migration is cancelled', async () => {
  const { live, client } = await start()
  await client.execute('cont')
  const domain = await live.domain()
  const job = await domain.blockPull('vda', slow)
  await beginSlowMigration(client)
  await expect.poll(() => live.jobs()).toMatchObject([{ status: 'paused' }])
  await cancelMigration(client)
  await domain.blockJobSetSpeed('vda', '0')
  expect(await job.done).toMatchObject({ state: 'completed', verified: true })
  await expectWhole(live)
})

describe('while QEMU may not write to the images', () => {
  test.each([
    ['saved', save],
    ['being migrated', beginSlowMigration],
  ])('(%s) a pull is refused, its plan says so first, and nothing is started', async (_, happen) => {
    const { live, client } = await start()
    await client.execute('cont')
    const domain = await live.domain()
    await happen(client)
    const { refusals } = await domain.plan('vda')
    expect(refusals[0]).toMatchObject({ code: 'GUEST_BUSY' })
    await expect(domain.blockPull('vda')).rejects.toMatchObject({
      code: 'GUEST_BUSY',
      message: expect.stringContaining(refusals[0]?.message ?? 'nothing'),
      retryable: true,
    })
    expect(await live.jobs()).toEqual([])
  })

  test('an orphaned job at pending is not touched, and finished once the guest continues', async () => {
    const { live, client } = await start()
    await client.execute('cont')
    const puller = GuestPuller.start(live, slow)
    await puller.running()
    await puller.kill()
    const [{ device }] = await client.execute('query-block-jobs')
    await client.execute('block-job-set-speed', { device, speed: 0 })
    await expect.poll(() => live.jobs()).toMatchObject([{ status: 'pending' }])
    await save(client)
    await expect((await live.domain()).reap()).rejects.toMatchObject({ code: 'GUEST_BUSY' })
    await untilStatus(client, 'postmigrate')
    expect(await live.jobs()).toMatchObject([{ status: 'pending' }])
    await client.execute('cont')
    expect(await (await live.domain()).reap()).toMatchObject([{ outcome: { state: 'completed', verified: true } }])
    await expectWhole(live)
  })
})

test('a reap restarts a job that ran untracked while its guest was saved', async () => {
  const { live, client } = await start()
  await client.execute('cont')
  const puller = GuestPuller.start(live, slow)
  await puller.running()
  await puller.kill()
  await save(client)
  const [{ device }] = await client.execute('query-block-jobs')
  await client.execute('block-job-set-speed', { device, speed: 0 })
  await expect.poll(() => live.jobs()).toMatchObject([{ status: 'pending' }])
  await client.execute('cont')
  expect(await (await live.domain()).reap()).toMatchObject([{ outcome: { state: 'completed', verified: true } }])
  await expectWhole(live)
})

test('a process killed between the cancel of a job and its restart: the disk can be pulled again', async () => {
  const { live, client } = await start(undefined, { proxy: true })
  await client.execute('cont')
  const puller = GuestPuller.start(live, slow)
  await puller.running()
  await save(client)
  const held = live.proxy?.hold(['block-stream'], 'before')
  const [{ device }] = await client.execute('query-block-jobs')
  await client.execute('block-job-set-speed', { device, speed: 0 })
  await client.execute('cont')
  await held?.reached
  await puller.kill()
  live.proxy?.cut()
  expect(await live.jobs()).toEqual([])
  const domain = await live.domain()
  expect(await domain.reap()).toEqual([])
  const job = await domain.blockPull('vda')
  expect(await job.done).toMatchObject({ state: 'completed', verified: true })
  await expectWhole(live)
})

test('a job that a dead process left paused continues once it is adopted', async () => {
  const { live, client } = await start()
  await client.execute('cont')
  const puller = GuestPuller.start(live, slow)
  await puller.running()
  await beginSlowMigration(client)
  await expect.poll(() => live.jobs()).toMatchObject([{ status: 'paused' }])
  await puller.kill()
  await cancelMigration(client)
  expect(await live.jobs()).toMatchObject([{ status: 'paused' }])
  const domain = await live.domain()
  await domain.blockJobSetSpeed('vda', '0')
  expect(await domain.reap()).toMatchObject([{ outcome: { state: 'completed', verified: true } }])
  await expectWhole(live)
})

test('a guest that was saved, whose image has a cluster without a refcount: the pull is refused', async () => {
  // The first data cluster is the sixth of the file; the refcounts are in the third, two bytes each.
  const { live, client } = await start((path) => {
    const file = openSync(path, 'r+')
    writeSync(file, Buffer.alloc(2), 0, 2, 2 * 65536 + 2 * 5)
    closeSync(file)
  })
  await save(client)
  await client.execute('cont')
  const domain = await live.domain()
  await expect(domain.blockPull('vda')).rejects.toMatchObject({
    code: 'IMAGE_CORRUPT',
    message: expect.stringMatching(
      /run 'blockpull check --repair all' on it; .* while the guest was migrated or saved .*shut the guest off first$/,
    ),
  })
  expect((await domain.plan('vda')).refusals).toMatchObject([{ code: 'IMAGE_CORRUPT' }])
  expect(await live.jobs()).toEqual([])
})
