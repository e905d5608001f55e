// SPDX-License-Identifier: Apache-2.0
//
// Waiting has an end: Ctrl-C, or a timeout.
//
// A QEMU that hangs answers after half a minute, or never. What ends a wait closes the connection, which then answers
// every call that waits for a QEMU at once; `pull` follows its job with follow-job.ts in place of that. A second
// interrupt leaves at once with 130.

import { BlockPullError, type Connection } from '../index.js'
import type { Context } from './context.js'
import { CommandFailure, ExitCode } from './exit-codes.js'

/**
 * One request can arrive twice: Ctrl-C from the terminal and from npm or timeout(1), the end of a terminal from the
 * kernel and from the shell. Nobody presses twice as fast.
 */
const onePressMs = 200

/** Calls `stop` at a request to stop, and leaves at one that comes when that is under way; gives what ends this. */
export function onPresses(context: Context, isStopping: () => boolean, stop: () => void): () => void {
  let pressedAt = Number.NEGATIVE_INFINITY
  return context.onInterrupt(() => {
    if (context.now() - pressedAt < onePressMs) return
    pressedAt = context.now()
    if (isStopping()) context.exitNow(ExitCode.INTERRUPTED_TWICE)
    else stop()
  })
}

export interface WaitOptions {
  readonly timeoutSeconds?: number | undefined
  /** What a person has to know of a call that was not answered, after a semicolon. */
  readonly hint?: string
}

/** Why calls were answered before their QEMUs did. */
export class Wait {
  readonly #hint: string
  readonly #controller = new AbortController()
  #reason: string | null = null

  constructor(hint: string) {
    this.#hint = hint
  }

  get hasEnded(): boolean {
    return this.#reason !== null
  }

  /** For calls that read files; those that wait for a QEMU end with the connection. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  end(reason: string): void {
    this.#reason ??= reason
    this.#controller.abort()
  }

  /** `error` as it is to be told: 'CLOSED' is our own doing once the wait has ended. */
  explain(error: unknown): unknown {
    if (!this.hasEnded || !BlockPullError.is(error) || error.code !== 'CLOSED') return error
    return new CommandFailure('MONITOR_TIMEOUT', `${this.#reason} before QEMU answered${this.#hint}`)
  }
}

/** Runs `work`, which may wait for QEMUs of a connection, until an interrupt or the timeout. */
export async function untilStopped<T>(
  context: Context,
  connection: Connection | null,
  work: (wait: Wait) => Promise<T>,
  { timeoutSeconds, hint = '' }: WaitOptions = {},
): Promise<T> {
  const wait = new Wait(hint)
  const stop = (reason: string) => {
    wait.end(reason)
    void connection?.close()
  }
  const release = onPresses(
    context,
    () => wait.hasEnded,
    () => stop('interrupted'),
  )
  const expire = () => stop(`timeout of ${timeoutSeconds} s expired`)
  const timer = timeoutSeconds === undefined ? undefined : setTimeout(expire, timeoutSeconds * 1000)
  try {
    return await work(wait)
  } catch (error) {
    throw wait.explain(error)
  } finally {
    clearTimeout(timer)
    release()
  }
}
