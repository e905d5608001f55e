// SPDX-License-Identifier: Apache-2.0
//
// The connection ends at every step of a pull: before a command is carried out, before and after its answer, before
// and after each event, one run for each. Then QEMU itself ends, or is started anew, at every one of them. No run
// may hang, each job has one end, and none is completed before both flushes were done.
//
//     the connection ends     the job goes on in QEMU, is found again, and completes
//     QEMU is killed          unknown, unless it was durable before; the next pull sees a shut-off domain
//     QEMU is started anew    the same, and the next pull completes

import { afterAll, expect, test } from 'vitest'
import type { BlockJob } from '../../lib/index.js'
import type { QmpPeer } from '../qmp-peer/index.mjs'
import type { Fault, Line } from '../qmp-peer/types.js'
import { TempFolder } from '../support/temp-folder.js'
import {
  deeds,
  endOf,
  failureOf,
  flushes,
  type Opened,
  open,
  quick,
  safeOrderInTries,
  startPeer,
} from './live-domain.js'

const temp = new TempFolder('disconnects')
afterAll(() => temp.remove())

type Blow = (peer: QmpPeer, line: Line) => Promise<void> | void

interface Step {
  readonly kind: 'command' | 'event'
  readonly index: number
  readonly when: 'received' | 'done' | 'answered' | 'before' | 'after'
}

/** Runs at once: enough to keep the machine busy, few enough that none waits long. */
const atOnce = 12

/** Strikes at one step; `ignored` is the place in the log of a command that was not carried out for it. */
class Strike implements Fault {
  #commands = -1
  #events = -1
  #isOver = false
  hasHappened = false
  /** When the blow has had its effect. */
  effect: Promise<void> | void = undefined
  ignored = -1
  peer: QmpPeer | undefined

  constructor(
    readonly step: Step,
    readonly blow: Blow,
  ) {}

  received = (_command: unknown, line: Line): 'ignore' | undefined => {
    this.#commands += 1
    if (!this.#isAt('command', this.#commands) || this.step.when !== 'received') return undefined
    this.ignored = (this.peer?.log.length ?? 0) - 1
    this.#strike(line)
    return 'ignore'
  }

  outgoing = (message: { readonly kind: string }, next: () => void, line: Line): void => {
    if (message.kind === 'event') this.#events += 1
    const index = message.kind === 'event' ? this.#events : this.#commands
    const isIt = message.kind !== 'greeting' && this.#isAt(message.kind === 'event' ? 'event' : 'command', index)
    if (!isIt || this.step.when === 'received') {
      next()
      return
    }
    if (this.step.when === 'answered' || this.step.when === 'after') next()
    this.#strike(line)
  }

  /** Waits for the effect of the blow; one that has not come by now, since this run had fewer steps, never will. */
  async over(): Promise<void> {
    this.#isOver = true
    await this.effect
  }

  #isAt(kind: Step['kind'], index: number): boolean {
    return !this.#isOver && !this.hasHappened && kind === this.step.kind && index === this.step.index
  }

  #strike(line: Line): void {
    this.hasHappened = true
    if (this.peer !== undefined) this.effect = this.blow(this.peer, line)
  }
}

interface Run extends Opened {
  readonly peer: QmpPeer
  readonly strike: Strike
  /** What the call failed with, if it did. */
  readonly refused: string | undefined
  readonly job: BlockJob | undefined
}

/** One pull with a blow at one step. */
async function run(step: Step, blow: Blow): Promise<Run> {
  const strike = new Strike(step, blow)
  const peer = await startPeer(temp, [strike], quick)
  strike.peer = peer
  const opened = await open(peer)
  const first = await opened.domain.blockPull('vda').catch((error: Error & { code: string }) => error)
  if (!(first instanceof Error)) return { ...opened, peer, strike, refused: undefined, job: first }
  return { ...opened, peer, strike, refused: first.code, job: undefined }
}

/** Every step of an undisturbed pull: as many commands and events as it has. */
async function allSteps(): Promise<Step[]> {
  const peer = await startPeer(temp, [], quick)
  const { domain } = await open(peer)
  await (await domain.blockPull('vda')).done
  const steps: Step[] = []
  for (const kind of ['command', 'event'] as const) {
    const count = peer.log.filter((entry) => entry.kind === kind).length
    const moments = kind === 'command' ? (['received', 'done', 'answered'] as const) : (['before', 'after'] as const)
    for (let index = 0; index < count; index++) for (const when of moments) steps.push({ kind, index, when })
  }
  return steps
}

/** Judges the run of every step; the first that is not as it should be fails the test with its name. */
async function atEveryStep(blow: Blow, judge: (run: Run) => Promise<void>): Promise<Run[]> {
  const steps = await allSteps()
  const runs: Run[] = []
  const work = async (): Promise<void> => {
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
      const name = `${step.kind} ${step.index} ${step.when}`
      try {
        const done = await run(step, blow)
        runs.push(done)
        await judge(done)
        await done.connection.close()
      } catch (error) {
        throw new Error(`struck at ${name}: ${error instanceof Error ? error.message : error}`, { cause: error })
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  expect(runs.length).toBeGreaterThan(60)
  expect(runs.filter(({ strike }) => strike.hasHappened).length).toBeGreaterThan(55)
  return runs
}

/** Of the commands that were carried out. */
function expectSafeOrder({ peer, strike }: Run): void {
  const carriedOut = peer.log.filter((_, index) => index !== strike.ignored)
  expect(deeds({ log: carriedOut }).join(' ')).toMatch(safeOrderInTries)
}

/** Whether QEMU made the header durable: a flush that was carried out after the job had concluded. */
function isDurable({ peer, strike }: Run): boolean {
  const concluded = peer.log.findIndex(({ name }) => name === 'BLOCK_JOB_COMPLETED')
  const isFlush = (index: number): boolean => flushes.includes(peer.log[index]?.name ?? '')
  return concluded >= 0 && peer.log.some((_, index) => index > concluded && index !== strike.ignored && isFlush(index))
}

/** QEMU went away under the job: the pull was refused, or has one end, and a true one. */
async function expectOneEnd(run: Run): Promise<void> {
  const { events, job, refused } = run
  if (job === undefined) {
    expect(['MONITOR_LOST', 'NOT_FOUND']).toContain(refused)
    expect(events).toEqual([])
    return
  }
  const end = await endOf(job)
  // A QEMU that was started anew with its old chain, after it had said that it was done, has not done it.
  expect(['completed', 'unknown JOB_VANISHED', 'failed JOB_FAILED']).toContain(end)
  if (end === 'completed') expect(isDurable(run)).toBe(true)
  expect(events).toHaveLength(1)
}

test('the connection ends at every step: the job is found again and completes, in the safe order', async () => {
  await atEveryStep(
    (_peer, line) => line.hangUp(),
    async (done) => {
      const { domain, events, job, refused, strike } = done
      expect(refused).toBeUndefined()
      expect(job && (await endOf(job))).toBe('completed')
      await strike.over()
      expectSafeOrder(done)
      expect(events.map(({ status }) => status)).toEqual([0])
      expect(await domain.blockJobInfo('vda')).toBeNull()
      expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
      expect(events).toHaveLength(2)
    },
  )
})

test('QEMU is killed at every step: the job is unknown unless it was durable, and nothing hangs', async () => {
  const runs = await atEveryStep(
    (peer) => peer.kill(),
    async (done) => {
      const { domain, strike } = done
      await expectOneEnd(done)
      await strike.over()
      expect(await domain.blockJobInfo('vda')).toBeNull()
      if (strike.hasHappened) expect((await failureOf(domain.blockPull('vda'))).code).toBe('NOT_FOUND')
    },
  )
  const ends = new Set(runs.map(({ job }) => job?.outcome?.state))
  expect(ends).toEqual(new Set([undefined, 'unknown', 'completed']))
})

test('QEMU is restarted at every step: a job that is gone is unknown', async () => {
  await atEveryStep(
    (peer) => peer.restart(),
    async (done) => {
      const { domain, events, strike } = done
      await expectOneEnd(done)
      const told = events.length
      await strike.over()
      expect(await endOf(await domain.blockPull('vda'))).toBe('completed')
      expect(events).toHaveLength(told + 1)
      expect(await domain.blockJobInfo('vda')).toBeNull()
    },
  )
})
