// SPDX-License-Identifier: Apache-2.0
//
// A command line run whole in this process, over a fake binding: what it printed, what it asked, how it ended.

import type { Context } from '../../../lib/cli/context.js'
import { runProgram } from '../../../lib/cli/program.js'
import { openConnection } from '../../../lib/connection.js'
import { imageCalls } from '../../../lib/images.js'
import { FakeBinding, type FakeJob, turn } from '../fake-binding.js'

export class FakeTerminal {
  readonly binding = new FakeBinding()
  out = ''
  err = ''
  exited: number | null = null
  isTTY = false
  environment: NodeJS.ProcessEnv = { LANG: 'C.UTF-8', NO_COLOR: '1' }
  /** What the clock says, in milliseconds. */
  time = 0
  readonly #listeners = new Set<() => void>()

  /** Runs a command line given as one string, split at blanks. */
  async run(line: string): Promise<number> {
    return await runProgram(line.split(' ').filter(Boolean), this.#context())
  }

  /** Starts a pull and waits until its job runs. */
  async startPull(line: string): Promise<{ readonly exit: Promise<number>; readonly job: FakeJob }> {
    const before = this.binding.jobs.length
    const exit = this.run(line)
    while (this.binding.jobs.length === before) await turn()
    await turn()
    return { exit, job: this.binding.job }
  }

  /** As Ctrl-C does; false when nobody listens and the process would die. */
  interrupt(): boolean {
    for (const listener of [...this.#listeners]) listener()
    return this.#listeners.size > 0
  }

  get isListening(): boolean {
    return this.#listeners.size > 0
  }

  /** The JSON lines on stdout. */
  get lines(): Record<string, unknown>[] {
    const lines = this.out.split('\n').filter(Boolean)
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  #context(): Context {
    const { binding } = this
    return {
      api: {
        ...imageCalls(() => binding),
        shimPath: () => '/opt/blockpull/lib',
        connect: (target, options) => openConnection(() => binding, target, options),
      },
      out: { write: (text) => (this.out += text) },
      err: { write: (text) => (this.err += text), isTTY: this.isTTY, columns: 100 },
      environment: this.environment,
      version: '1.2.3',
      onInterrupt: (listener) => {
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
      },
      now: () => this.time,
      exitNow: (code) => {
        this.exited = code
      },
    }
  }
}
