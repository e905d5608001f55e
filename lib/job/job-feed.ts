// SPDX-License-Identifier: Apache-2.0
//
// The updates of one job from the addon: keeps the latest and wakes everybody who waits.
//
// A feed exists before its job, because an update may arrive before the call that starts the job has resolved. It holds
// one value and a version, never a backlog: a slow reader skips values. It ignores everything after the outcome. It
// lives on the thread of its environment, like everything in JavaScript.

import type { NativeJobUpdate, NativeOutcome, NativeProgress } from '../native.js'

/** A promise with its resolver outside. */
interface Signal<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
}

function makeSignal<T>(): Signal<T> {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

export class JobFeed {
  #progress: NativeProgress | null = null
  #version = 0
  #outcome: NativeOutcome | null = null
  #change = makeSignal<void>()
  readonly #end = makeSignal<NativeOutcome>()

  /** Passed to the addon. */
  readonly receive = (update: NativeJobUpdate): void => {
    if (this.#outcome !== null) return
    this.#take(update.progress)
    if (update.outcome === null) return
    this.#outcome = update.outcome
    this.#end.resolve(update.outcome)
  }

  /** Sets the first value, unless an update has arrived already. */
  seed(progress: NativeProgress): void {
    if (this.#progress === null) this.#take(progress)
  }

  get progress(): NativeProgress | null {
    return this.#progress
  }

  /** Increases by one with every value. */
  get version(): number {
    return this.#version
  }

  get hasEnded(): boolean {
    return this.#outcome !== null
  }

  /** Resolves at the next update. */
  get changed(): Promise<void> {
    return this.#change.promise
  }

  /** Resolves with the outcome, never rejects. */
  get ended(): Promise<NativeOutcome> {
    return this.#end.promise
  }

  #take(progress: NativeProgress): void {
    this.#progress = progress
    this.#version += 1
    const { resolve } = this.#change
    this.#change = makeSignal()
    resolve()
  }
}
