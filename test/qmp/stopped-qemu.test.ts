// SPDX-License-Identifier: Apache-2.0
//
// The command against a real QEMU that is stopped, so that it takes connections and answers nothing, or speaks
// otherwise than expected: every command ends when it is told to, and says what it knows.

import { mkdirSync, readFileSync, renameSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { makeChain } from '../support/images/stream-case.js'
import { blockpull } from '../support/processes/command.js'
import { freeze, wake } from '../support/processes/freeze.js'
import { start } from '../support/processes/start-command.js'
import { difference, flatten, info } from '../support/qemu/qemu.js'
import { QmpProxy } from '../support/qemu/qmp-proxy.js'
import { startQemu } from '../support/qemu/start-qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('stopped-qemu')
afterAll(() => temp.remove())

/** A QEMU with the disk 'vda' on a backing file, and a human monitor at 'human'. */
async function startGuest() {
  const folder = temp.folder()
  const { top } = await makeChain(folder, { size: '8M', io: ['write -P 1 0 4M'] }, { size: '8M' })
  await flatten(top, `${folder}/flat.raw`)
  const node = `driver=qcow2,node-name=disk,file.driver=file,file.filename=${top}`
  const disk = ['-blockdev', node, '-device', 'virtio-blk-pci,drive=disk,id=vda']
  const args = [...disk, '-monitor', 'unix:human,server=on,wait=off']
  const qemu = await startQemu({ folder, machine: 'q35', monitors: 2, args })
  return { folder, top, qemu }
}

function lastLine(stdout: string): unknown {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
}

/** Resolves once the command listens for requests to stop: SIGHUP, the last of them, Node does not catch by itself. */
async function untilItListens(pid: number): Promise<void> {
  const caught = () => /^SigCgt:\t.*[13579bdf]$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  await expect.poll(caught).toBe(true)
}

describe('a QEMU that is stopped', () => {
  test('makes a pull end at its timeout, with nothing started', async () => {
    const { qemu } = await startGuest()
    await freeze(qemu.pid)
    const { code, stdout, stderr } = await blockpull('pull', '--json', '--timeout', '1', '--qmp', qemu.socket, 'vda')
    expect(code).toBe(1)
    expect(lastLine(stdout)).toMatchObject({ event: 'end', state: 'failed', code: 'MONITOR_TIMEOUT' })
    expect(stderr).toMatch(/^blockpull: timeout of 1 s expired: .* did not answer in time; nothing was started\n$/)
  })

  test.each([
    ['list', ['list'], /interrupted before the monitor of 'qmp0' answered/],
    ['job', ['job', 'vda'], /interrupted before QEMU answered/],
    ['reap', ['reap'], /interrupted before QEMU answered/],
    ['pull', ['pull', 'vda'], /did not answer in time; nothing was started/],
    ['pull --dry-run', ['pull', 'vda', '--dry-run'], /interrupted before QEMU answered/],
    ['pull --no-wait', ['pull', 'vda', '--no-wait'], /did not answer in time/],
  ])('has %s end at Ctrl-C', async (_name, [command = '', ...more], words) => {
    const { qemu } = await startGuest()
    await freeze(qemu.pid)
    const { child, ended } = start(command, '--json', '--qmp', qemu.socket, ...more)
    await untilItListens(child.pid ?? 0)
    child.kill('SIGINT')
    const { code, stdout, stderr } = await ended
    expect(code).toBe(1)
    expect(lastLine(stdout)).toMatchObject({ event: 'end', code: 'MONITOR_TIMEOUT' })
    expect(stderr).toMatch(words)
  })

  test('may still start a requested pull; reap finishes it', async () => {
    const { folder, top, qemu } = await startGuest()
    const proxy = await QmpProxy.start(`${folder}/proxy`, qemu.socket)
    const hold = proxy.hold(['block-stream'], 'before')
    const { child, ended } = start('pull', '--json', '--qmp', proxy.path, 'vda')
    await hold.reached
    await freeze(qemu.pid)
    hold.release()
    child.kill('SIGINT')
    const { code, stdout, stderr } = await ended
    expect(code).toBe(1)
    expect(lastLine(stdout)).toMatchObject({ event: 'end', state: 'unknown', code: 'MONITOR_TIMEOUT' })
    expect(stderr).toMatch(/'blockpull reap' finishes it\n$/)
    wake(qemu.pid)
    expect((await blockpull('reap', '--qmp', qemu.sockets[1] ?? '')).code).toBe(0)
    const client = await qemu.connect()
    expect(await client.execute('query-jobs')).toEqual([])
    await client.close()
    await qemu.kill()
    expect([undefined, 'layer0']).toContain((await info(top))['backing-filename'])
    expect(await difference(`${folder}/flat.raw`, top)).toBeNull()
  })
})

describe('a server that is not a QMP monitor', () => {
  test.each(['list', 'pull', 'job', 'reap'])("is called so by %s: QEMU's human monitor", async (command) => {
    const { folder } = await startGuest()
    const device = command === 'pull' || command === 'job' ? ['vda'] : []
    const { code, stderr } = await blockpull(command, '--qmp', join(folder, 'human'), ...device)
    expect(code).toBe(1)
    expect(stderr).toMatch(/human' is QEMU's human monitor, not QMP; give QEMU a monitor for blockpull with -qmp unix:/)
  })

  test('is reported with its first bytes', async () => {
    const path = temp.file('console')
    // Who only asks whether somebody listens leaves at once.
    const greet = (socket: Socket) => void socket.on('error', () => undefined).end('\r\nvm0 login: ')
    const server = createServer(greet).listen(path)
    onTestFinished(() => void server.close())
    const { code, stderr } = await blockpull('job', '--qmp', path, 'vda')
    expect(code).toBe(1)
    expect(stderr).toMatch(/does not speak QMP: it starts with '\.\.vm0 login: ' \(byte 0xd\)/)
  })

  test.each(['tcp:127.0.0.1:4444', '127.0.0.1:4444', '@vm0', 'unix:/run/vm0.qmp,server=on'])(
    'is not taken for a QEMU that is not running: %s',
    async (address) => {
      const { code, stdout, stderr } = await blockpull('pull', '--json', '--qmp', address, 'vda')
      expect(code).toBe(1)
      expect(lastLine(stdout)).toMatchObject({ event: 'end', state: 'failed', code: 'UNSUPPORTED' })
      expect(stderr).toMatch(/only the path of a UNIX socket is supported, so /)
    },
  )
})

test('a monitor works at a path that is too long for a socket address', async () => {
  const { folder, top, qemu } = await startGuest()
  const deep = join(temp.folder(), 'd'.repeat(100))
  mkdirSync(deep)
  const path = join(deep, 'vm0.qmp')
  renameSync(qemu.socket, path)
  const { code, stdout } = await blockpull('pull', '--qmp', path, 'vda')
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^vda: pulled, /) })
  await qemu.kill()
  expect((await info(top))['backing-filename']).toBeUndefined()
  expect(await difference(`${folder}/flat.raw`, top)).toBeNull()
})
