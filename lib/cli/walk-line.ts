// SPDX-License-Identifier: Apache-2.0
//
// What a person sees while a plan is made: how much will be read, and a progress line if that takes long.

import type { WalkProgress } from '../index.js'
import type { Context } from './context.js'
import { type FollowStyle, isTold } from './follow-job.js'
import { type Amount, formatBytes } from './measures.js'
import { ProgressLine } from './render.js'
import { tell } from './shown.js'

/** A shorter walk needs no line. */
const shortestMs = 1000

/** What a progress line shows of a job, but not of a walk. */
const still = {
  state: 'running',
  bytesMoved: 0,
  bytesToMove: 0,
  bytesPerSecond: 0,
  etaSeconds: null,
  bandwidth: 0,
  method: 'none',
  stoppedOn: null,
  phase: 'moving',
  silentSeconds: 0,
} as const

export class WalkLine {
  readonly #context: Context
  readonly #line: ProgressLine | null
  readonly #begunAt: number
  #isReading = false

  constructor(context: Context, style: Pick<FollowStyle, 'label' | 'json' | 'quiet'>) {
    this.#context = context
    this.#begunAt = context.now()
    this.#line = isTold(style) ? new ProgressLine(context.err, context.environment, style.label) : null
  }

  /** Passed to the call. */
  readonly show = ({ phase, bytesDone, bytesTotal }: WalkProgress<Amount>): void => {
    if (this.#line === null) return
    if (phase === 'data' && !this.#isReading && bytesTotal > 0) {
      this.#isReading = true
      this.clear()
      tell(this.#context.err, `reading ${formatBytes(bytesTotal)} that would be moved`)
    }
    const now = this.#context.now()
    if (now - this.#begunAt >= shortestMs) this.#line.draw({ ...still, cur: bytesDone, end: bytesTotal }, now)
  }

  clear(): void {
    this.#line?.clear()
  }
}
