// SPDX-License-Identifier: Apache-2.0
//
// A guest whose machine was saved with `savevm` goes on from there after a pull of its disk: what it remembers of the
// disk, it reads, although the backing file is gone.

import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { afterAll, afterEach, expect, test } from 'vitest'
import { type Guest, type GuestOptions, startGuest } from '../support/guest/guest.js'
import { pulled } from '../support/images/stream-case.js'
import { check, info, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('savevm')
let guest: Guest | undefined
afterEach(() => guest?.kill())
afterAll(() => temp.remove())

async function start(options: GuestOptions): Promise<Guest> {
  guest = await startGuest(options)
  return guest
}

/** A command of QEMU's own monitor: QMP has `savevm` only as a job. */
async function monitor(socket: string, command: string): Promise<void> {
  const client = await QmpClient.connect(socket)
  const answer = await client.execute('human-monitor-command', { 'command-line': command }, { timeoutMs: 120_000 })
  expect(answer).toBe('')
  await client.close()
}

test('loadvm after a pull: the guest goes on, and reads what it remembers', async () => {
  const folder = temp.folder()
  const [base, image, socket] = [`${folder}/base`, `${folder}/active`, `${folder}/qmp`]
  const blocks = (16 << 20) / 4096
  writeFileSync(base, randomBytes(16 << 20))
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', image)
  await qemuIo(image, 'qcow2', 'write -P 99 5M 1M')

  const first = await start({ folder, disk: image, qmpSockets: [socket] })
  expect(await first.remember()).toBe(blocks)
  await first.write(1, 40)
  await first.sync()
  await monitor(socket, 'savevm early')
  await first.write(2, 40)
  await first.sync()
  await monitor(socket, 'savevm late')
  await first.write(3, 40)
  expect(await first.verify()).toBe(blocks)
  const last = await first.sum()
  await first.powerOff()

  const completion = await pulled(image)
  expect(completion.released).toEqual([base])
  rmSync(base)
  expect(await check(image)).toMatchObject({ code: 0 })
  expect((await info(image))['backing-filename']).toBeUndefined()

  const booted = await start({ folder, disk: image })
  expect(await booted.sum()).toBe(last)
  await booted.powerOff()
  for (const loadvm of ['early', 'late']) {
    const again = await start({ folder, disk: image, loadvm })
    expect(await again.verify()).toBe(blocks)
    await again.write(4, 20)
    expect(await again.verify()).toBe(blocks)
    await again.powerOff()
    expect(await check(image)).toMatchObject({ code: 0 })
  }
  await qemuImg('snapshot', '-a', 'early', image)
  expect(await check(image)).toMatchObject({ code: 0 })
})
