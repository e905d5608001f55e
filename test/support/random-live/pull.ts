// SPDX-License-Identifier: Apache-2.0
//
// One pull under a running guest, and what happens to it: things that come while it runs, and one that ends it, each
// at an instant of chance. Half of the pulls are stopped by the proxy at a command of chance, so that the instants
// between two commands are met as often as the long ones.
//
//     pull ──▶ runs, or is held at a command ──▶ writes, speeds, seconds ... ──▶ finish │ abort │ close │ cut │ kill
//
// What comes out is 'completed' or the code of an error; what may come out is said beside each way to end it.

import { setTimeout as pause } from 'node:timers/promises'
import {
  type BlockJob,
  BlockPullError,
  type BlockPullOptions,
  type Connection,
  connect,
  type Domain,
} from '../../../lib/index.js'
import type { RandomGuest } from './guest.js'

const patienceMs = 90_000

/** The commands of a pull; where one of several is held, it is by how many pass before. */
const commands = [
  'query-block-jobs',
  'query-jobs',
  'query-named-block-nodes',
  'query-block',
  'block-stream',
  'blockdev-add',
  'blockdev-reopen',
  'blockdev-del',
  'job-finalize',
] as const
const changes = commands.slice(4)

/** Waits no longer than a schedule may; what is late is a failure that says so. */
export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const late = pause(patienceMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what} is not over after ${patienceMs / 1000} seconds`)
  })
  late.catch(() => undefined)
  return await Promise.race([promise, late]).finally(() => timer.abort())
}

/** 'completed', or the code of the error. */
export function resultOf(done: Promise<unknown>): Promise<string> {
  return done.then(
    () => 'completed',
    (error: unknown) => (BlockPullError.is(error) ? error.code : String(error)),
  )
}

/** Stops the pull that comes next at a command of chance. */
export function holdSomewhere({ random, running, log }: RandomGuest) {
  const side = random.pick(['before', 'after'] as const)
  const at = random.chance(0.7) ? [random.pick(changes as [string, ...string[]])] : [...commands]
  const passing = at.length > 1 ? random.below(20) : random.chance(0.3) ? 1 : 0
  log.push(`to be held ${side} ${at.length > 1 ? 'any command' : at}, ${passing} pass`)
  const hold = running.proxy?.hold(at, side, passing)
  if (hold === undefined) throw new Error('the guest has no proxy')
  return hold
}

export class RandomPull {
  /** What is wrong beside the result. */
  readonly complaints: string[] = []
  /** Settles with the pull. */
  readonly result: Promise<string>
  readonly #job: Promise<BlockJob | null>
  readonly #hold: ReturnType<typeof holdSomewhere> | null
  readonly #beside: Promise<string>[] = []
  readonly #others: Connection[] = []
  #isHeld = false
  #isOver = false
  #wasCut = false
  /** Closed while the call waited: what QEMU may have begun by then is cancelled late, whoever follows it then. */
  wasClosedEarly = false
  /** Whether the connection was closed. */
  isClosed = false

  constructor(
    readonly guest: RandomGuest,
    readonly connection: Connection,
    readonly domain: Domain,
    readonly options: BlockPullOptions,
  ) {
    const { random } = guest
    this.#hold = random.chance(0.5) ? holdSomewhere(guest) : null
    guest.note(`pull ${JSON.stringify(options)}`)
    const pull = domain.blockPull('vda', options)
    this.#job = pull.catch(() => null)
    this.result = resultOf(pull.then((job) => job.done))
    void this.result.then((result) => {
      this.#isOver = true
      guest.note(`the pull: ${result}`)
    })
    void pull.then((job) => job.done).catch((error: Error) => guest.note(`  ${error.message}`))
  }

  /** Waits until it runs or is held, lets things happen, and ends it; gives the results that may come. */
  async happen(): Promise<string[]> {
    const { guest } = this
    const { random } = guest
    await this.#begin()
    for (let left = random.below(5); left > 0 && !this.#isOver; left--) {
      await within('what happens beside a pull', this.#somethingBeside())
    }
    const end = random.pick(['finish', 'finish', 'abort', 'abort disk', 'close', 'cut', 'kill'])
    guest.note(`${end}${this.#isHeld ? ', held' : ''}`)
    const mayBe = [...(await this.#end(end)), ...(guest.mayFail ? ['IO'] : [])]
    // A reap by another connection does not let the job wait on an error.
    if (this.#others.length > 0 && guest.mayFail) mayBe.push('JOB_FAILED')
    // Where nobody heard the end of a job, QEMU does not keep it either.
    const mayBeUnheard = this.#others.length > 0 || guest.mayFail
    if (this.#wasCut) mayBe.push('MONITOR_LOST', ...(mayBeUnheard ? ['JOB_VANISHED'] : []))
    await within('the pull', this.result)
    await within('what was asked beside the pull', Promise.all(this.#beside))
    for (const other of this.#others) await within('closing', other.close())
    return mayBe
  }

  async #begin(): Promise<void> {
    const { random, log } = this.guest
    if (this.#hold === null) await within('blockPull', this.#job)
    else {
      const held = this.#hold.reached.then(
        () => true,
        () => false,
      )
      this.#isHeld = await Promise.race([held, this.result.then(() => false), pause(random.below(400), false)])
      if (this.#isHeld) log.push('held')
      else this.#release()
    }
    if (!this.#isHeld) await within('blockPull', this.#job)
  }

  async #somethingBeside(): Promise<void> {
    const { guest, domain } = this
    const { random } = guest
    const asking = ['speed', 'second', 'reap', 'plan', 'info', 'other', 'resume', 'cut'] as const
    const what = random.pick(['write', 'write', 'flush', 'wait', ...(this.#isHeld ? [] : asking)])
    if (what === 'write') return await guest.write()
    if (what === 'flush') return await guest.flush()
    guest.note(what)
    if (what === 'wait') await pause(random.below(30))
    if (what === 'speed') (await this.#job)?.setBandwidth({ bytesPerSecond: random.scaled(1 << 16, 1 << 26) })
    if (what === 'second') await this.#second()
    if (what === 'reap') this.#besides(domain.reap())
    if (what === 'plan') this.#besides(domain.plan('vda'))
    if (what === 'info') await resultOf(domain.blockJobInfo('vda'))
    if (what === 'resume') await resultOf(domain.blockJobResume('vda'))
    if (what === 'cut') this.#cut()
    if (what === 'other') {
      const qmp = guest.running.qemu.sockets[2] ?? ''
      const other = await connect({ domains: [{ name: 'vm0', qmp, disks: guest.disks }] })
      this.#others.push(other)
      this.#besides(other.lookupByName('vm0').then((vm) => vm.reap()))
    }
  }

  /** A second pull of the same disk is refused, unless the first is over. */
  async #second(): Promise<void> {
    const second = await this.domain.blockPull('vda', this.options).catch((error: BlockPullError) => error)
    if (second instanceof Error) {
      const mayBe = ['JOB_ACTIVE', ...(this.#wasCut ? ['MONITOR_LOST'] : []), ...(this.#isOver ? ['NO_BASE'] : [])]
      if (!mayBe.includes(second.code)) this.complaints.push(`the second pull: ${second.code}: ${second.message}`)
      return
    }
    second.setBandwidth('0')
    const result = await resultOf(second.done)
    await Promise.resolve()
    if (!this.#isOver) this.complaints.push('two pulls of one disk at once')
    if (result !== 'completed' && !this.guest.mayFail) this.complaints.push(`the second pull: ${result}`)
  }

  async #end(how: string): Promise<string[]> {
    const { guest, connection, domain } = this
    if (how === 'kill') {
      await guest.kill()
      return ['completed', 'JOB_VANISHED', 'MONITOR_LOST', 'LOCKED', 'FEATURE_UNSUPPORTED']
    }
    if (how === 'close') {
      const closing = connection.close()
      this.wasClosedEarly = this.#isHeld
      this.isClosed = true
      if (this.#isHeld && guest.random.chance(0.5)) this.#release()
      await within('close()', closing)
      if (this.#isHeld) this.#cut()
      return ['completed', 'CLOSED']
    }
    if (how === 'cut') this.#cut()
    this.#release()
    if (how === 'abort') {
      const job = await within('blockPull', this.#job)
      if (job !== null) await within('abort()', job.abort())
      return ['completed', 'CANCELLED']
    }
    if (how === 'abort disk') {
      await within('blockPull', this.#job)
      const isAsync = guest.random.chance(0.5)
      const result = await within('blockJobAbort', resultOf(domain.blockJobAbort('vda', { async: isAsync })))
      const mayBe = ['completed', 'NO_JOB', ...(this.#wasCut ? ['MONITOR_LOST', 'JOB_ACTIVE'] : [])]
      if (!mayBe.includes(result)) this.complaints.push(`blockJobAbort: ${result}`)
      if (result !== 'completed') await this.#finish()
      return ['completed', 'CANCELLED']
    }
    await this.#finish()
    return ['completed']
  }

  /** Lifts the limit, and resumes the job whenever it stops. */
  async #finish(): Promise<void> {
    const job = await within('blockPull', this.#job)
    job?.setBandwidth('0')
    const until = performance.now() + patienceMs
    while (!this.#isOver && performance.now() < until) {
      await Promise.race([this.result, pause(50)])
      if (job?.progress.stoppedOn) await resultOf(this.domain.blockJobResume('vda'))
    }
  }

  /** What is asked beside the pull may fail with it, but it is answered. */
  #besides(asked: Promise<unknown>): void {
    this.#beside.push(resultOf(asked))
  }

  #release(): void {
    this.#hold?.release()
    this.#isHeld = false
  }

  #cut(): void {
    this.guest.running.proxy?.cut()
    this.#wasCut = true
    this.#isHeld = false
  }
}
