// SPDX-License-Identifier: Apache-2.0
//
// QEMU serves one client of a monitor at a time and lets few wait. A queue that is full for a moment is waited out;
// one that stays full, or a client that stays, is what MONITOR_BUSY is for.

import { createConnection, type Socket } from 'node:net'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { makeChain } from '../support/images/stream-case.js'
import { freeze, wake } from '../support/processes/freeze.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('busy-monitor')
afterAll(() => temp.remove())

const start = async () =>
  LiveDisk.start(await makeChain(temp.folder(), { size: '1M', io: ['write -P 1 0 1M'] }, { size: '1M' }))

/** Connects until the kernel takes no more; QEMU stands still meanwhile. */
async function fillQueue(path: string): Promise<Socket[]> {
  const sockets: Socket[] = []
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (;;) {
    const socket = createConnection(path)
    const code = await new Promise<string | null>((resolve) => {
      socket.once('connect', () => resolve(null))
      socket.once('error', ({ code = '' }: NodeJS.ErrnoException) => resolve(code))
    })
    if (code === 'EAGAIN') return sockets
    expect(code).toBeNull()
    sockets.push(socket)
  }
}

test('a pull waits for a queue that is full for a moment', async () => {
  const live = await start()
  await freeze(live.qemu.pid)
  const others = await fillQueue(live.monitor)
  const domain = await live.domain()
  expect(domain.state).toBe('running')
  const pull = domain.blockPull('vda')
  for (const other of others) other.destroy()
  wake(live.qemu.pid)
  await (await pull).done
  await live.shutOff()
  expect(await live.complaints(null)).toEqual([])
})

test('a queue that stays full is MONITOR_BUSY once the greeting is overdue', async () => {
  const live = await start()
  await freeze(live.qemu.pid)
  await fillQueue(live.monitor)
  const connection = await live.connect({ monitorTimeouts: { connect: 300 } })
  const domain = await connection.lookupByName('vm0')
  const message = expect.stringMatching(/already has other clients waiting/)
  await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'MONITOR_BUSY', message })
})

test('a client that stays causes MONITOR_BUSY, and once it has left the pull works', async () => {
  const live = await start()
  const other = await live.qemu.connect()
  const connection = await live.connect({ monitorTimeouts: { connect: 300 } })
  const domain = await connection.lookupByName('vm0')
  const message = expect.stringMatching(/QEMU serves one client at a time/)
  await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'MONITOR_BUSY', message })
  await other.close()
  await (await domain.blockPull('vda')).done
  await live.shutOff()
  expect(await live.complaints(null)).toEqual([])
})
