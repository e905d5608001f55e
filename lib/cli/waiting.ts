// SPDX-License-Identifier: Apache-2.0
//
// Ends a wait: at Ctrl-C, or after a timeout.
//
// A QEMU that hangs answers after half a minute, or never. Ending a wait closes the connection, and every call that
// waits for a QEMU then returns at once. `pull` does not use this for its job; it uses follow-job.ts. A second
// interrupt exits immediately with 130.

import { BlockPullError, type Connection } from '../index.js'
import type { Context } from './context.js'
import { CommandFailure, ExitCode } from './exit-codes.js'

/**
 * One request can arrive twice: Ctrl-C from the terminal and from npm or timeout(1), a closed terminal from the kernel
 * and from the shell. Nobody presses twice this fast.
 */
const onePressMs = 200

/** Calls `stop` at a request to stop, and exits at the next one. Returns a function that ends this. */
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
  /** What a person must know about a call that got no answer; begins with '; '. */
  readonly hint?: string
}

/** Why calls returned before their QEMUs answered. */
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

  /** For calls that read files. Calls that wait for a QEMU end with the connection. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  end(reason: string): void {
    this.#reason ??= reason
    this.#controller.abort()
  }

  /** `error` as a person should see it: after the end of the wait, we caused 'CLOSED' ourselves. */
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

/** A signal that the first interrupt aborts; a second one exits. `release` ends this. */
export function interruptSignal(context: Context): { readonly signal: AbortSignal; readonly release: () => void } {
  const controller = new AbortController()
  const { signal } = controller
  const release = onPresses(
    context,
    () => signal.aborted,
    () => controller.abort(),
  )
  return { signal, release }
}

/** Makes a call that only reads and can be aborted; an interrupt ends it. */
export async function withSignal<T>(context: Context, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { signal, release } = interruptSignal(context)
  try {
    return await call(signal)
  } catch (error) {
    throw signal.aborted ? new CommandFailure('CANCELLED', 'cancelled; nothing was changed') : error
  } finally {
    release()
  }
}
