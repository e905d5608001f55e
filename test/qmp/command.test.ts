// SPDX-License-Identifier: Apache-2.0
//
// The command on running guests, as a process, against a real QEMU: what it prints and exits with, and what has
// become of the job and the image. How lines are worded is tested without a process, in test/lib/cli.

import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { makeChain } from '../support/images/stream-case.js'
import { blockpull } from '../support/processes/command.js'
import { start } from '../support/processes/start-command.js'
import { difference, flatten, info } from '../support/qemu/qemu.js'
import type { QmpClient } from '../support/qemu/qmp-client.mjs'
import { startQemu } from '../support/qemu/start-qemu.js'
import { TempFolder } from '../support/temp-folder.js'
import { jobIn, startPeer } from './live-domain.js'

/** What reap prints of the disk that `startGuest` makes. */
const reaped = /^vm0 vda: completed\n {2}vm0 vda no longer needs \S+\/layer0\n$/

const temp = new TempFolder('live-command')
afterAll(() => temp.remove())

/** A guest 'vm0' with no XML: its disk 'vda' has 32 MiB of 64 in its backing file. */
async function startGuest(monitors = 2) {
  const folder = temp.folder()
  const { top } = await makeChain(folder, { size: '64M', io: ['write -P 1 0 32M'] }, { size: '64M' })
  await flatten(top, `${folder}/flat.raw`)
  const node = `driver=qcow2,node-name=disk,file.driver=file,file.filename=${top}`
  const args = ['-blockdev', node, '-device', 'virtio-blk-pci,drive=disk,id=vda']
  const qemu = await startQemu({ folder, machine: 'q35', monitors, args })
  symlinkSync(qemu.socket, join(folder, 'vm0.qmp'))
  const uri = `qemu:///embed?root=${folder}`
  /** Whether the disk stands on its own, with the content that it had; QEMU is ended for that. */
  const isPulled = async () => {
    await qemu.kill()
    const { 'backing-filename': backing } = await info(top)
    return backing === undefined && (await difference(`${folder}/flat.raw`, top)) === null
  }
  return { folder, top, qemu, uri, disk: ['--connect', uri, 'vm0', 'vda'], isPulled }
}

/** A pull at 4 MiB/s that has begun. */
async function slowPull(...disk: readonly string[]) {
  const command = start('pull', '--json', '--bandwidth', '4M', ...disk)
  await command.until(/"event":"progress"/)
  return command
}

/** The last of the JSON lines. */
function end(stdout: string): unknown {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
}

/** All jobs of a QEMU, by a monitor of the test's own. */
async function jobs(client: QmpClient): Promise<{ id: string; status: string }[]> {
  return await client.execute('query-jobs')
}

describe('a pull', () => {
  test('that completes says so, draws no bar without a terminal, and leaves an independent disk', async () => {
    const { disk, isPulled, folder } = await startGuest()
    const { code, stdout, stderr } = await blockpull('pull', ...disk)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^vm0 vda: pulled, 64\.0 MiB gone over in .* s \(.*, block-stream\)\n/)
    expect(stdout).toContain(`  vm0 vda no longer needs ${folder}/layer0\n`)
    expect(await isPulled()).toBe(true)
  })

  test('of a disk without a backing file, or down to its present one, has nothing to pull', async () => {
    const { disk, folder, isPulled } = await startGuest()
    const stay = await blockpull('pull', ...disk, '--base', `${folder}/layer0`)
    expect(stay).toEqual({ code: 0, stdout: 'vm0 vda: nothing to pull\n', stderr: '' })
    expect((await blockpull('pull', ...disk)).stdout).toMatch(/pulled/)
    expect((await blockpull('pull', ...disk)).stdout).toBe('vm0 vda: nothing to pull\n')
    const json = await blockpull('pull', '--json', ...disk)
    expect(end(json.stdout)).toMatchObject({ state: 'completed', bytesMoved: 0, released: [] })
    expect(json.stdout).not.toMatch(/"(bytesMoved|bytesToMove|bytesPerSecond)":[1-9]/)
    expect(await isPulled()).toBe(true)
  })

  test.each(['vda', 'disk', 'path'])('of a bare socket finds its device by %s', async (name) => {
    const { qemu, top, isPulled } = await startGuest()
    const device = name === 'path' ? top : name
    const { code, stdout, stderr } = await blockpull('pull', '--json', '--qmp', qemu.socket, device)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(end(stdout)).toMatchObject({ state: 'completed', code: null, method: 'block-stream' })
    expect(await isPulled()).toBe(true)
  })

  test('that gets SIGINT cancels the job; the next one finishes it', async () => {
    const { disk, qemu, isPulled } = await startGuest()
    const { child, ended } = await slowPull(...disk)
    child.kill('SIGINT')
    const { code, stdout, stderr } = await ended
    expect(code).toBe(3)
    expect(end(stdout)).toMatchObject({ state: 'cancelled', code: 'CANCELLED' })
    expect(stderr).toMatch(/^blockpull: cancelled after .*; what was copied is kept/)
    expect(await jobs(await qemu.connect(1))).toEqual([])
    expect((await blockpull('pull', ...disk)).code).toBe(0)
    expect(await isPulled()).toBe(true)
  })

  test('of a QEMU that hangs is left by a second SIGINT', async () => {
    const { disk, qemu } = await startGuest()
    const { child, ended } = await slowPull(...disk)
    process.kill(qemu.pid, 'SIGSTOP')
    child.kill('SIGINT')
    await sleep(300) // A second one within 200 ms is the same press.
    expect(child.exitCode).toBeNull()
    child.kill('SIGINT')
    expect((await ended).code).toBe(130)
  })

  test('that runs out of its time ends with 3, and its job with it', async () => {
    const { disk, qemu } = await startGuest()
    const { code, stderr } = await blockpull('pull', '--bandwidth', '1M', '--timeout', '3', ...disk)
    expect(code).toBe(3)
    expect(stderr).toMatch(/^limit: 1\.0 MiB\/s .*\nblockpull: timeout of 3 s expired: cancelled after/)
    expect(await jobs(await qemu.connect(1))).toEqual([])
  })

  test('whose QEMU is killed fails with a sentence, and is unknown', async () => {
    const { disk, qemu } = await startGuest()
    const { ended } = await slowPull(...disk)
    await qemu.kill()
    const { code, stdout, stderr } = await ended
    expect(code).toBe(1)
    expect(end(stdout)).toMatchObject({ state: 'unknown', code: 'JOB_VANISHED' })
    expect(stderr).toMatch(/^blockpull: .*pull of disk 'vda' vanished: QEMU has ended/)
  })

  test('of a full disk fails with NO_SPACE', async () => {
    const peer = await startPeer(temp)
    const { ended } = start('pull', '--json', '--qmp', peer.path, 'vda')
    await peer.received('block-stream')
    peer.fail(jobIn(peer), 'No space left on device')
    const { code, stdout, stderr } = await ended
    expect(code).toBe(1)
    expect(end(stdout)).toMatchObject({ state: 'failed', code: 'NO_SPACE' })
    expect(stderr).toMatch(/^blockpull: .*No space left on device/)
  })
})

describe('a job that continues alone', () => {
  test('is seen, slowed down and ended by later commands', async () => {
    const { disk, uri, qemu } = await startGuest()
    const started = await blockpull('pull', '--json', '--no-wait', '--bandwidth', '4M', ...disk)
    expect({ code: started.code, stderr: started.stderr }).toEqual({ code: 0, stderr: '' })
    expect(end(started.stdout)).toMatchObject({ state: 'started', durable: false })
    expect((await blockpull('list', '--connect', uri)).stdout).toMatch(/\nvm0 +running +vda +pull, \d+\.\d %\n$/)
    expect((await blockpull('job', ...disk)).stdout).toMatch(/^vm0 vda: Block Pull, .*, limit: 4\.0 MiB\/s/)
    expect((await blockpull('job', '--bandwidth', '2', ...disk)).stdout).toMatch(/^vm0 vda: limit: 2\.0 MiB\/s/)
    // What one process has set, the next one finds: it was not left before QEMU answered.
    expect((await blockpull('job', '--raw', ...disk)).stdout).toMatch(
      /^ type=Block Pull\n bandwidth=2\n cur=\d+\n end=/,
    )
    expect(await blockpull('job', '--abort', '--async', ...disk)).toMatchObject({ code: 0, stderr: '' })
    const client = await qemu.connect(1)
    await expect.poll(() => jobs(client)).toEqual([])
    const none = { code: 0, stdout: 'no current block job for vda\n', stderr: '' }
    expect(await blockpull('job', ...disk)).toEqual(none)
    const again = await blockpull('job', '--abort', ...disk)
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('does not have an active block job') })
  })

  test('does not exist if there is nothing to do, which is reported', async () => {
    const { disk } = await startGuest()
    await blockpull('pull', ...disk)
    const again = await blockpull('pull', '--no-wait', ...disk)
    expect(again).toEqual({ code: 0, stdout: 'vm0 vda: nothing to pull\n', stderr: '' })
  })

  test('is waited for and made durable by reap', async () => {
    const { disk, uri, isPulled } = await startGuest()
    await blockpull('pull', '--no-wait', '--bandwidth', '32M', ...disk)
    const { code, stdout } = await blockpull('reap', '--connect', uri)
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(reaped) })
    expect(await isPulled()).toBe(true)
  })

  test('is reported by events', async () => {
    const { disk, uri, top } = await startGuest()
    const { child, ended, until } = start('events', '--connect', uri)
    await blockpull('pull', '--no-wait', '--bandwidth', '8M', ...disk)
    await until(/completed\n/)
    child.kill('SIGTERM')
    const sentence = `event 'block-job' for domain 'vm0': Block Pull for ${top} completed\n`
    expect(await ended).toEqual({ code: 0, stdout: sentence, stderr: 'events received: 1\n' })
  })

  test('is left to QEMU by a reap that is interrupted', async () => {
    const { disk, qemu } = await startGuest()
    await blockpull('pull', '--no-wait', '--bandwidth', '1M', ...disk)
    const { child, ended, until } = start('reap', '--qmp', qemu.socket)
    await until(/^waiting for 'qmp0'; Ctrl-C leaves its jobs to QEMU/, 'stderr')
    child.kill('SIGINT')
    const { code, stdout } = await ended
    expect({ code, stdout }).toEqual({ code: 3, stdout: 'vda: continues in QEMU\n' })
    expect(await jobs(await qemu.connect(1))).toMatchObject([{ status: 'running' }])
  })
})

test('reap finishes and reports a job that waits because its process was killed', async () => {
  const { disk, uri, qemu, isPulled } = await startGuest()
  const { child, ended } = await slowPull(...disk)
  child.kill('SIGKILL')
  await ended
  const client = await qemu.connect(1)
  const [job] = await jobs(client)
  await client.execute('block-job-set-speed', { device: job?.id, speed: 0 })
  await expect.poll(async () => (await jobs(client))[0]?.status).toBe('pending')
  const waits = "waiting to be finished by the process that tracks it, or by 'blockpull reap' if that is gone"
  expect((await blockpull('job', ...disk)).stdout).toBe(`vm0 vda: Block Pull, nothing is left to copy, ${waits}\n`)
  expect((await blockpull('list', '--connect', uri)).stdout).toMatch(
    /\nvm0 +running +vda +pull, waiting to be finished\n$/,
  )
  expect((await blockpull('job', '--raw', ...disk)).stdout).toMatch(/^ type=Block Pull\n bandwidth=0\n cur=\d+\n end=/)
  const { code, stdout } = await blockpull('reap', '--connect', uri, 'vm0')
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(reaped) })
  expect((await blockpull('reap', '--connect', uri)).stdout).toBe('nothing to reap\n')
  expect(await isPulled()).toBe(true)
})

test('a job of another program is shown, and not touched', async () => {
  const { disk, qemu } = await startGuest()
  const client = await qemu.connect(1)
  await client.execute('block-stream', { 'job-id': 'vda', device: 'disk', speed: 1 << 20 })
  expect((await blockpull('job', ...disk)).stdout).toMatch(/^vm0 vda: Block Pull, /)
  for (const change of ['--abort', '--bandwidth=5']) {
    const { code, stderr } = await blockpull('job', change, ...disk)
    expect(code).toBe(4)
    expect(stderr).toMatch(/job 'vda' on disk 'vda' belongs to another program and is left alone/)
  }
  expect(await jobs(client)).toMatchObject([{ id: 'vda', status: 'running' }])
})

describe('a monitor', () => {
  test('that another program uses makes commands end with 4, but not list', async () => {
    const { disk, uri, qemu } = await startGuest()
    const client = await qemu.connect()
    const [pulled, shown, listed, reaped] = await Promise.all([
      blockpull('pull', '--json', ...disk),
      blockpull('job', ...disk),
      blockpull('list', '--connect', uri),
      blockpull('reap', '--connect', uri),
    ])
    await client.close()
    expect([pulled, shown, listed, reaped].map(({ code }) => code)).toEqual([4, 4, 4, 4])
    expect(end(pulled.stdout)).toMatchObject({ state: 'failed', code: 'MONITOR_BUSY' })
    expect(shown.stderr).toMatch(/^blockpull: .*another program is connected to it, or QEMU hangs/)
    expect(listed.stdout).toMatch(/\nvm0 +running +- +MONITOR_BUSY\n$/)
  })

  test('whose queue is full for a moment is waited for', async () => {
    const { uri, qemu } = await startGuest()
    const client = await qemu.connect()
    const queue = Array.from({ length: 3 }, () => start('job', '--qmp', qemu.socket, 'vda'))
    // QEMU lets two wait. Time for the third to come, which nobody can see; what must hold holds whenever it does.
    await sleep(500)
    await client.close()
    for (const { ended } of queue) expect(await ended).toMatchObject({ code: 0, stderr: '' })
    expect((await blockpull('list', '--connect', uri)).code).toBe(0)
  })

  test('where nobody listens is a failure', async () => {
    const { code, stdout, stderr } = await blockpull('pull', '--qmp', '/nowhere.qmp', 'vda')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^blockpull: nobody listens on monitor '\/nowhere\.qmp': QEMU is not running/)
  })
})

test('--no-wait on a disk that is shut off is refused with the reason', async () => {
  const { folder, top } = await makeChain(temp.folder(), { size: '1M' }, { size: '1M' })
  const disk = `<disk type='file'><driver type='qcow2'/><source file='${top}'/><target dev='vda'/></disk>`
  writeFileSync(`${folder}/vm1.xml`, `<domain><name>vm1</name><devices>${disk}</devices></domain>`)
  const { code, stderr } = await blockpull('pull', '--no-wait', '-c', `qemu:///embed?root=${folder}`, 'vm1', 'vda')
  expect(code).toBe(1)
  expect(stderr).toMatch(/^blockpull: .*'vm1' is shut off and its disk is pulled by this process/)
})
