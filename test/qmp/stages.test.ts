// SPDX-License-Identifier: Apache-2.0
//
// The end of an environment at every stage of a guest's job: process.exit, a worker that exits or is terminated, a
// process that has nothing left to do. Each time there is no crash and no wait, not even for a monitor that says
// nothing; the job stays in QEMU as it was, and the next connection brings it to its end. With
// BLOCKPULL_ASAN_ADDON, as `npm run test:asan` runs it, a memory error or a leak of ours fails it as well.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { faults, type QmpPeer } from '../qmp-peer/index.mjs'
import type { Fault } from '../qmp-peer/types.js'
import { StagePackage } from '../support/processes/stage-package.js'
import { TempFolder } from '../support/temp-folder.js'
import { diskBytes, endOf, images, jobIn, open, startPeer, timesAsked, until } from './live-domain.js'

const temp = new TempFolder('live-stages')
const underTest = StagePackage.make(temp, 'test/qmp/stage-process.mjs')
afterAll(() => temp.remove())

interface Stage {
  readonly action: string
  readonly faults: () => Fault[]
  /** Resolves when the peer sees that the stage is reached. */
  readonly reached: (peer: QmpPeer) => Promise<unknown>
}

const running = async (peer: QmpPeer): Promise<void> => {
  await until('a job', () => timesAsked(peer, 'block-stream') > 0)
}
const pending = async (peer: QmpPeer): Promise<void> => {
  await running(peer)
  peer.complete(jobIn(peer))
}
/** The job is pending, and the command that is never answered has come so many times. */
const stuckAt = (command: string, count = 1): Omit<Stage, 'action'> => ({
  faults: () => [unanswered(command, count)],
  async reached(peer) {
    await pending(peer)
    await until(command, () => timesAsked(peer, command) >= count)
  },
})

/** Carries out the command and answers all but the last of so many. */
function unanswered(command: string, count: number): Fault {
  let left = count
  return {
    outgoing(message, next) {
      const isIt = message.kind === 'reply' && message.command.name === command
      if (!isIt || --left > 0) next()
    },
  }
}

const stages: Readonly<Record<string, Stage>> = {
  'before the greeting': {
    action: 'pull and ask',
    faults: () => [faults.mute()],
    reached: (peer) => until('a client', () => peer.clientCount > 0),
  },
  'while its start is unanswered': {
    action: 'pull',
    faults: () => [faults.neverAnswer('block-stream')],
    reached: running,
  },
  'while it runs': { action: 'pull', faults: () => [], reached: running },
  'while it runs and nobody holds it': { action: 'pull and forget', faults: () => [], reached: running },
  'while it is flushed': { action: 'pull', ...stuckAt('blockdev-reopen') },
  'while its finalize is unanswered': { action: 'pull', ...stuckAt('job-finalize') },
  'while it is flushed again': { action: 'pull', ...stuckAt('blockdev-reopen', 2) },
  'while the filter of its flush is unanswered': { action: 'pull', ...stuckAt('blockdev-add') },
  'while the filter of its flush is removed': { action: 'pull', ...stuckAt('blockdev-del', 2) },
  'when it has ended': {
    action: 'pull',
    faults: () => [],
    async reached(peer) {
      await pending(peer)
      await until('both flushes', () => timesAsked(peer, 'blockdev-del') >= 2)
    },
  },
  'while its abort is unanswered': {
    action: 'pull and abort',
    faults: () => [faults.neverAnswer('job-cancel')],
    reached: (peer) => peer.received('job-cancel'),
  },
  'while its connection closes': { action: 'pull and close', faults: () => [], reached: running },
  'while its monitor is lost': {
    action: 'pull',
    faults: () => [],
    async reached(peer) {
      await running(peer)
      peer.misbehave(faults.mute())
      peer.hangUp()
    },
  },
}

/** Takes a process to the stage, ends it, and gives how that went. */
async function endAt(how: string, stage: Stage, peer: QmpPeer): Promise<{ code: unknown; printed: string }> {
  const args = ['--expose-gc', underTest.script, how, stage.action, peer.path, images[0]]
  const child = spawn(process.execPath, args, { env: underTest.env, timeout: 60_000 })
  onTestFinished(() => void child.kill('SIGKILL'))
  let printed = ''
  let complaints = ''
  child.stdout.on('data', (bytes) => (printed += bytes))
  child.stderr.on('data', (bytes) => (complaints += bytes))
  const ended = once(child, 'close')
  try {
    await stage.reached(peer)
    child.stdin.write('end\n')
    const [code, signal] = await ended
    return { code: code ?? signal, printed: printed + underTest.complaints(complaints) }
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

/** Whatever the stage left: one more pull completes, or takes over and completes, and leaves nothing in QEMU. */
async function expectUsable(peer: QmpPeer): Promise<void> {
  peer.faults = []
  peer.hangUp()
  peer.pace(diskBytes)
  const { connection, domain } = await open(peer)
  await domain.reap()
  const id = jobIn(peer)
  expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
  expect(peer.statusOf(id)).toBeUndefined()
  await connection.close()
}

async function expectCleanEnd(how: string, name: string, stage: Stage): Promise<void> {
  const peer = await startPeer(temp, stage.faults())
  const { code, printed } = await endAt(how, stage, peer)
  expect({ name, code, printed }).toEqual({ name, code: 7, printed: '' })
  if (name !== 'before the greeting') await peer.closed()
  await expectUsable(peer)
}

test.each([
  ['exit', 'process.exit'],
  ['worker-exit', 'process.exit in a worker'],
  ['terminate', 'worker.terminate'],
])('%s: a job survives %s at every stage', async (how) => {
  const left = Object.entries(stages)
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await expectCleanEnd(how, ...next)
  }
  await Promise.all([work(), work(), work()])
})

test('a process whose only work is a released job ends', async () => {
  const stage = { action: 'pull and let go', faults: () => [], reached: running }
  await expectCleanEnd('fall-through', 'let go', stage)
})
