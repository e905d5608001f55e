// SPDX-License-Identifier: Apache-2.0
//
// A running pull: its end as a promise, its progress as an async iterable, and the calls that control it.
//
// `done` has a handler from the start, so that a job nobody watches cannot bring the process down. A failure that
// nobody has awaited is reported instead: one turn of the event loop after the end, and after open iterations, since
// `for await (...) {}` followed by `await job.done` is the usual form. A job's error carries the stack of the call that
// started the job: there is no other line to blame.
//
//     start ──> running ──┬──> completed                         done resolves
//                         └──> failed | cancelled | unknown      done rejects, iteration ends all the same

import type { NativeJob, NativeJobUpdate } from '../native.js'
import type { Limit } from '../options/option-types.js'
import { readNewLimit } from '../options/options.js'
import { AbortError, BlockPullError, called } from '../results/errors.js'
import { type SizeReader, sizeReader, toOutcome, toProgress } from '../results/results.js'
import type { Completion, Outcome, Progress } from '../results/structs.js'
import { onAbort } from './abort-listeners.js'
import { JobFeed } from './job-feed.js'

/** How long a guest's QEMU may take after an abort to answer a start. Shorter than the promised two seconds. */
const lastPatienceMs = 1500

/** How a job is started. */
export interface JobStart<Size extends number | bigint> {
  readonly start: (onUpdate: (update: NativeJobUpdate) => void) => Promise<NativeJob>
  /** Makes `start` reject if it still waits for a guest's QEMU. */
  readonly giveUp?: () => void
  readonly signal: AbortSignal | null
  readonly bigint: boolean
  /** Called with a failure that nobody awaits. */
  readonly onJobFailed: (error: BlockPullError, job: BlockJob<Size>) => void
}

/** Waits until a job runs, but only briefly once its signal is aborted. */
async function untilItRuns<Size extends number | bigint>(request: JobStart<Size>, feed: JobFeed): Promise<NativeJob> {
  const { signal, giveUp } = request
  let timer: NodeJS.Timeout | undefined
  const release =
    signal === null || giveUp === undefined
      ? undefined
      : onAbort(signal, () => {
          timer = setTimeout(giveUp, lastPatienceMs)
        })
  try {
    return await called(() => request.start(feed.receive))
  } finally {
    release?.()
    clearTimeout(timer)
  }
}

/** Starts a job; resolves once it runs. If its signal is aborted before that, the job ends first. */
export async function startJob<Size extends number | bigint>(request: JobStart<Size>): Promise<BlockJob<Size>> {
  const origin = new Error('started here')
  const { signal } = request
  if (signal?.aborted) throw new AbortError(signal.reason)
  const feed = new JobFeed()
  const native = await untilItRuns(request, feed)
  const size = sizeReader<Size>(request.bigint)
  feed.seed(native.progress())
  try {
    toProgress(native.progress(), size)
  } catch (unreadable) {
    native.abort()
    await feed.ended
    throw unreadable
  }
  const job = new BlockJob<Size>({ native, feed, size, signal, origin, onJobFailed: request.onJobFailed })
  if (signal?.aborted) await job.done
  return job
}

/** @internal */
export interface BlockJobParts<Size extends number | bigint> {
  readonly native: NativeJob
  readonly feed: JobFeed
  readonly size: SizeReader<Size>
  readonly signal: AbortSignal | null
  readonly origin: Error
  readonly onJobFailed: (error: BlockPullError, job: BlockJob<Size>) => void
}

/**
 * A running pull, from `domain.blockPull`, `domain.blockRebase` or `pullImage`. It keeps the process alive until it has
 * ended; see `unref`.
 */
export class BlockJob<Size extends number | bigint = number> implements AsyncIterable<Progress<Size>> {
  readonly #parts: BlockJobParts<Size>
  readonly #done: Promise<Completion<Size>>
  #outcome: Outcome<Size> | null = null
  #iterations = 0
  #isAwaited = false

  /** @internal */
  constructor(parts: BlockJobParts<Size>) {
    this.#parts = parts
    const { signal, native, feed } = parts
    const release = signal === null ? undefined : onAbort(signal, () => native.abort())
    this.#done = feed.ended.then(() => {
      release?.()
      return this.#conclude()
    })
    this.#done.catch(() => this.#reportLater())
    if (signal?.aborted) native.abort()
  }

  /**
   * Resolves when the job has completed, after the flush that makes it durable. Rejects with a `BlockPullError`
   * otherwise: `CANCELLED` after `abort()`, `NO_SPACE`, `IO`, `IMAGE_CORRUPT`, ...; with an `AbortError` if the
   * signal given at the start ended it. Whoever reads this property handles the failure: it is not reported elsewhere.
   */
  get done(): Promise<Completion<Size>> {
    this.#isAwaited = true
    return this.#done
  }

  /** How the job ended, or `null` while it runs. */
  get outcome(): Outcome<Size> | null {
    return this.#outcome
  }

  /** The current progress, from memory, at any time. */
  get progress(): Progress<Size> {
    const { feed, native, size } = this.#parts
    const latest = feed.hasEnded ? feed.progress : null
    return toProgress(latest ?? native.progress(), size)
  }

  /**
   * Ends the job at a consistent point. What was copied is kept, and another pull continues from there. Resolves with
   * the outcome once the image is free again; a job that completed just before stays completed. Never rejects.
   */
  async abort(): Promise<Outcome<Size>> {
    const { feed, native } = this.#parts
    if (!feed.hasEnded) native.abort()
    await this.#done.catch(() => undefined)
    return this.#outcome as Outcome<Size>
  }

  /** Sets the limit, '50MiB/s' or `{ bytesPerSecond: n }`, effective immediately. '0' lifts it. */
  setBandwidth(limit: string | Limit): void {
    const bandwidth = readNewLimit('setBandwidth', limit)
    if (!this.#parts.feed.hasEnded) this.#parts.native.setBandwidth({ bandwidth })
  }

  /** Keeps the process alive until the job has ended; this is the default. */
  ref(): this {
    this.#parts.native.ref()
    return this
  }

  /** Lets the process end before the job; the job then stops at a consistent point. */
  unref(): this {
    this.#parts.native.unref()
    return this
  }

  /**
   * Gives the latest progress whenever it changes, and ends when the job ends, whatever the outcome. Leaving the loop
   * does not cancel the job. Any number of loops can run at once.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Progress<Size>, void, undefined> {
    const { feed, size } = this.#parts
    let seen = 0
    this.#iterations += 1
    try {
      for (;;) {
        if (feed.version !== seen && feed.progress !== null) {
          seen = feed.version
          yield toProgress(feed.progress, size)
        } else if (feed.hasEnded) {
          return
        } else {
          await feed.changed
        }
      }
    } finally {
      this.#iterations -= 1
      this.#reportLater()
    }
  }

  /** Aborts a job that still runs and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort()
  }

  async #conclude(): Promise<Completion<Size>> {
    const { feed, size, signal, origin } = this.#parts
    const outcome = toOutcome(await feed.ended, size, signal)
    this.#outcome = outcome
    if (outcome.error === null) return outcome
    const frames = origin.stack?.split('\n').slice(1) ?? []
    outcome.error.stack = [`${outcome.error.name}: ${outcome.error.message}`, ...frames].join('\n')
    throw outcome.error
  }

  /** Reports a failure in the next turn, unless somebody awaits it, or may still do so after a loop. */
  #reportLater(): void {
    const outcome = this.#outcome
    if (outcome === null || outcome.state === 'completed' || outcome.state === 'cancelled') return
    setImmediate(() => {
      if (this.#isAwaited || this.#iterations > 0 || !BlockPullError.is(outcome.error)) return
      this.#isAwaited = true
      this.#parts.onJobFailed(outcome.error, this)
    })
  }
}

/** Reports a failure that nobody awaits and no listener hears, as a process warning, which never throws. */
export function warnOfFailure(error: BlockPullError): void {
  process.emitWarning(error.message, { type: 'BlockPullWarning', code: error.code, detail: 'no one awaited job.done' })
}
