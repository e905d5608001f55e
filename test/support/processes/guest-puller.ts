// SPDX-License-Identifier: Apache-2.0
//
// Pulls a disk of a running guest in a child process, so that the one who pulls can be killed. It dies with the
// test's process, too.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import { onTestFinished } from 'vitest'
import type { BlockPullOptions, ConnectDescription } from '../../../lib/index.js'
import { leashed } from './leash.mjs'

/** What is pulled: the disk vda of the one domain that a connection to `target` has. */
export interface Pulled {
  readonly target: string | ConnectDescription
}

export class GuestPuller {
  readonly #child: ChildProcessByStdio<null, Readable, null>
  readonly #lines: Interface
  readonly #ended: Promise<void>

  private constructor({ target }: Pulled, options: BlockPullOptions) {
    const request = JSON.stringify({ target, disk: 'vda', options })
    const program = join(import.meta.dirname, 'guest-puller-process.mjs')
    this.#child = spawn(...leashed(process.execPath, [program, request]), { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout })
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()))
  }

  /** Starts the pull; the process is gone at the latest when the test has ended. */
  static start(pulled: Pulled, options: BlockPullOptions = {}): GuestPuller {
    const puller = new GuestPuller(pulled, options)
    onTestFinished(() => puller.kill())
    return puller
  }

  /** Resolves once the job runs. */
  async running(): Promise<void> {
    for await (const line of this.#lines) if (line === 'running') return
    throw new Error('the process that pulls has ended, and no job ran')
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}
