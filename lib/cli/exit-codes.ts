// SPDX-License-Identifier: Apache-2.0
//
// How a command ends: its exit code, and the words for it.
//
// An `Ending` says how one piece of work ended: a job, a query or a refusal. The last JSON line and the exit code come
// from it. Our own `UsageError` is a usage error. So are the API's TypeErrors and RangeErrors: a wrong argument there
// is a wrong option here.

import { BlockPullError, type ErrorCode, type Outcome, type TrailingBytes } from '../index.js'
import { VIR_ERR_NO_CONNECT } from '../libvirt.js'
import { UsageError } from './args.js'
import { type Amount, formatBytes } from './measures.js'

export const ExitCode = {
  DONE: 0,
  FAILED: 1,
  USAGE: 2,
  CANCELLED: 3,
  BUSY: 4,
  INTERRUPTED_TWICE: 130,
} as const

/** What the help and the manual say of each. */
export const exitMeanings: readonly (readonly [code: number, meaning: string])[] = [
  [ExitCode.DONE, 'done'],
  [ExitCode.FAILED, 'failed'],
  [ExitCode.USAGE, 'usage'],
  [ExitCode.CANCELLED, 'cancelled'],
  [ExitCode.BUSY, 'locked or busy'],
  [ExitCode.INTERRUPTED_TWICE, 'exited on a second Ctrl-C'],
]

/** Codes of errors that go away once somebody else has finished. */
const busyCodes: ReadonlySet<string> = new Set(['LOCKED', 'JOB_ACTIVE', 'MONITOR_BUSY', 'GUEST_BUSY'])

/** A failure that the command itself finds, with the code that the API would use. */
export class CommandFailure extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Whether an error is reported; any other is a defect and is thrown on. */
export function isFailure(error: unknown): error is BlockPullError | CommandFailure {
  return BlockPullError.is(error) || error instanceof CommandFailure
}

export interface Ending {
  readonly exitCode: number
  /**
   * 'completed': the pull completed, or the command did what it was asked. 'started': the job runs, and nobody has
   * seen its end. 'planned': it would start. 'done': a job was shown or changed, which says nothing about its end.
   */
  readonly state: 'completed' | 'failed' | 'cancelled' | 'unknown' | 'started' | 'planned' | 'done'
  readonly code: string | null
  readonly message: string | null
  /** What else may help, of a failure. */
  readonly hint: string | null
  readonly bytesMoved: Amount
  readonly seconds: number
  readonly method: string
  readonly released: readonly string[]
  /** Only if one of these is not UTF-8. */
  readonly releasedBytes?: readonly string[]
  /** Of a job: those of its outcome. */
  readonly verified?: boolean
  /** Also false for a job that ends without us, and so without our flush. */
  readonly durable?: boolean
  /** Of a job: the bytes behind the image that were kept or discarded. */
  readonly trailingData?: TrailingBytes<Amount> | null
}

const nothingMoved = { hint: null, bytesMoved: 0, seconds: 0, method: 'none', released: [] }

/** The ending of a command that succeeded. */
export const done: Ending = {
  exitCode: ExitCode.DONE,
  state: 'completed',
  code: null,
  message: null,
  ...nothingMoved,
}

/** Whether the command line is wrong. A missing connection URI counts too. */
function isWrongCall(error: unknown): boolean {
  if (error instanceof UsageError || error instanceof TypeError || error instanceof RangeError) return true
  return BlockPullError.is(error) && error.code === 'INVALID_ARGUMENT' && error.virCode === VIR_ERR_NO_CONNECT
}

/** The ending of a call that threw `error` before there was a job. */
export function endingOfError(error: unknown): Ending {
  const message = error instanceof Error || BlockPullError.is(error) ? error.message : String(error)
  if (isWrongCall(error)) {
    return { exitCode: ExitCode.USAGE, state: 'failed', code: 'INVALID_ARGUMENT', message, ...nothingMoved }
  }
  if (isCancellation(error)) {
    const words = 'cancelled before anything was copied'
    return { exitCode: ExitCode.CANCELLED, state: 'cancelled', code: 'CANCELLED', message: words, ...nothingMoved }
  }
  const code = isFailure(error) ? error.code : null
  const hint = BlockPullError.is(error) ? error.hint : null
  const state = mayHaveStarted(error) ? 'unknown' : 'failed'
  return { exitCode: exitCodeOf(code), state, code, message, ...nothingMoved, hint }
}

/** The ending of a job. */
export function endingOfJob(outcome: Outcome<Amount>): Ending {
  const { state, error, bytesMoved, seconds, method, released, releasedBytes } = outcome
  const { verified, durable, trailingData } = outcome
  const hint = BlockPullError.is(error) ? error.hint : null
  const facts = {
    state,
    hint,
    bytesMoved,
    seconds,
    method,
    released,
    ...(releasedBytes && { releasedBytes }),
    verified,
    durable,
    trailingData,
  }
  if (error === null) return { exitCode: ExitCode.DONE, code: null, message: null, ...facts }
  if (state === 'cancelled') {
    // If this command did not ask for the cancel, the error says who did.
    const kept = 'what was copied is kept, and another pull continues from there'
    const message = `cancelled after ${formatBytes(bytesMoved)}; ${BlockPullError.is(error) ? error.message : kept}`
    return { exitCode: ExitCode.CANCELLED, code: 'CANCELLED', message, ...facts }
  }
  return { exitCode: exitCodeOf(error.code), code: error.code, message: error.message, ...facts }
}

/** The ending of a command that did several things: completed only if each of them is. */
export function endingOfAll(endings: readonly Ending[]): Ending {
  const worst = endings.find(({ exitCode }) => exitCode === ExitCode.FAILED)
  const bad = worst ?? endings.find(({ exitCode }) => exitCode !== ExitCode.DONE)
  return bad ?? endings.find(({ state }) => state !== 'completed') ?? done
}

/** Whether QEMU was asked for a job and has not answered: it may still start it. */
function mayHaveStarted(error: unknown): boolean {
  return BlockPullError.is(error) && error.code === 'MONITOR_TIMEOUT' && error.qemu?.command === 'block-stream'
}

export function exitCodeOf(code: string | null): number {
  return code !== null && busyCodes.has(code) ? ExitCode.BUSY : ExitCode.FAILED
}

function isCancellation(error: unknown): boolean {
  if (BlockPullError.is(error)) return error.code === 'CANCELLED'
  return error instanceof Error && error.name === 'AbortError'
}
