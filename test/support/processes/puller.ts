// SPDX-License-Identifier: Apache-2.0
//
// Pulls through the public API in a child process: with the I/O path that a test asks for, and expendable. One
// child serves any number of pulls, also at once; what it does is in puller-process.mjs.

import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'

/** BLOCKPULL_IO: which way bytes are moved. */
export type IoPath = 'io_uring' | 'threads'

export interface PullRequest {
  readonly path: string
  readonly options?: {
    readonly base?: string
    readonly bytesPerSecond?: number
    readonly trailingData?: 'keep' | 'discard'
  }
  /** Aborts the job so long after it began. */
  readonly abortAfterMs?: number
  /** Kills the pulling process so long after the job began, if it runs that long; fractions count. */
  readonly killAfterMs?: number
}

export interface PullReport {
  /** 'refused' when there was no job. */
  readonly state: 'completed' | 'failed' | 'cancelled' | 'unknown' | 'refused'
  readonly code: string | null
  readonly message: string | null
  readonly bytesNeeded: number | null
  readonly bytesMoved: number
  readonly method: string
  readonly released: readonly string[]
}

interface Waiting {
  readonly resolve: (report: PullReport) => void
  readonly reject: (error: Error) => void
}

export class Puller {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #printed = ''
  #count = 0
  #hasEnded = false

  constructor(io: IoPath) {
    const env = { ...process.env, BLOCKPULL_IO: io === 'threads' ? 'threads' : '' }
    this.#child = fork(join(import.meta.dirname, 'puller-process.mjs'), { env, silent: true })
    this.#child.stderr?.on('data', (text) => {
      this.#printed += text
    })
    this.#child.on('message', ({ id, report }: { id: number; report: PullReport }) => {
      this.#waiting.get(id)?.resolve(report)
      this.#waiting.delete(id)
    })
    this.#child.on('exit', (code, signal) => {
      this.#hasEnded = true
      const error = new Error(`the pulling process ended with ${signal ?? code}: ${this.#printed}`)
      for (const { reject } of this.#waiting.values()) reject(error)
      this.#waiting.clear()
    })
  }

  /** What it has printed on stderr so far. */
  get printed(): string {
    return this.#printed
  }

  /** Pulls; rejects when the process dies first. */
  pull(request: PullRequest): Promise<PullReport> {
    return new Promise((resolve, reject) => {
      const id = this.#count++
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, request }, (error) => error && reject(error))
    })
  }

  /** Lets it end by itself, and fails if it does not end well. */
  async close(): Promise<void> {
    const ended = new Promise<number | string>((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(code ?? signal ?? 'nothing'))
    })
    this.#child.disconnect()
    const how = await ended
    if (how !== 0) throw new Error(`the pulling process ended with ${how}: ${this.#printed}`)
  }

  /** Kills it where it stands, if it still does; resolves once the kernel has let go of its files. */
  async kill(): Promise<void> {
    if (this.#hasEnded) return
    const ended = new Promise<void>((resolve) => {
      this.#child.once('exit', () => resolve())
    })
    this.#child.kill('SIGKILL')
    await ended
  }
}
