// SPDX-License-Identifier: Apache-2.0
//
// Random numbers that come again: the same seed gives the same sequence on every machine. The generator is
// xorshift128 over the SHA-256 of the seed, which is plenty for choosing test cases. A run takes its seed from
// BLOCKPULL_SEED or from the clock, and every random test prints the one it used.

import { createHash } from 'node:crypto'

/** The seed of this run: BLOCKPULL_SEED where it is set. */
export function runSeed(): string {
  return process.env['BLOCKPULL_SEED'] ?? String(Date.now() % 1_000_000_000)
}

/** Whether the long versions of the long tests were asked for. */
export const isSoak = process.env['BLOCKPULL_SOAK'] === '1'

export class Random {
  readonly #state: Uint32Array

  constructor(seed: string) {
    const digest = createHash('sha256').update(seed).digest()
    this.#state = Uint32Array.from([0, 4, 8, 12], (at) => digest.readUInt32LE(at) | 1)
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.#next() / 2 ** 32) * limit)
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  /** Like `between`, with every order of magnitude as likely as the next. */
  scaled(least: number, most: number): number {
    return Math.round(least * (most / least) ** (this.#next() / 2 ** 32))
  }

  chance(probability: number): boolean {
    return this.#next() / 2 ** 32 < probability
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] as T
  }

  #next(): number {
    const state = this.#state
    let mixed = state[3] as number
    const first = state[0] as number
    mixed ^= mixed << 11
    mixed ^= mixed >>> 8
    state.copyWithin(1, 0, 3)
    state[0] = mixed ^ first ^ (first >>> 19)
    return state[0] as number
  }
}
