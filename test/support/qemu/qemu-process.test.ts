// SPDX-License-Identifier: Apache-2.0
//
// A real QEMU under a test's hand: it greets on each of its sockets, ends in every way that is asked for, and is
// gone after its test.

import { afterAll, expect, test } from 'vitest'
import { TempFolder } from '../temp-folder.js'
import { startQemu } from './start-qemu.js'

const temp = new TempFolder('qemu-process')
const left: number[] = []

afterAll(() => temp.remove())

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a machine greets on each monitor, knows its name, and ends by quit', async () => {
  const qemu = await startQemu({ folder: temp.folder(), machine: 'q35', monitors: 2, args: ['-name', 'vm0'] })
  const clients = await Promise.all([qemu.connect(0), qemu.connect(1)])
  for (const client of clients) expect(await client.execute('query-name')).toEqual({ name: 'vm0' })
  await clients[0].close()
  expect(await qemu.quit()).toEqual({ code: 0, signal: null })
  await clients[1].closed
})

test('a storage daemon greets, and dies by a signal', async () => {
  const qemu = await startQemu({ folder: temp.folder(), program: 'qemu-storage-daemon' })
  const client = await qemu.connect()
  await expect(client.execute('query-status')).rejects.toMatchObject({ class: 'CommandNotFound' })
  expect(await qemu.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
  await client.closed
})

test('one that cannot start says why', async () => {
  const started = startQemu({ folder: temp.folder(), args: ['-drive', 'file=none.qcow2,format=qcow2'] })
  await expect(started).rejects.toThrow(/ended at its start: .*none\.qcow2/s)
})

test('one that nobody stops still runs at the end of its test', async () => {
  const { pid } = await startQemu({ folder: temp.folder() })
  left.push(pid)
  expect(isThere(pid)).toBe(true)
})

test('and is gone in the next', () => {
  expect(left.map(isThere)).toEqual([false])
})
