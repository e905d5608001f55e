// SPDX-License-Identifier: Apache-2.0
//
// A QEMU process that has an image open, until it is told to let go. It is qemu-io reading its commands from a
// pipe: it takes the locks that a running guest takes, and starts in a few milliseconds.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

export class QemuHolder {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #ended: Promise<void>

  private constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#child = child
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()))
  }

  /** Opens the image, 'read-write' as a guest has its disk; resolves once it is open. */
  static async open(path: string, how: 'read-write' | 'read-only', format = 'qcow2'): Promise<QemuHolder> {
    const args = [...(how === 'read-only' ? ['-r'] : []), '-f', format, path]
    const child = spawn('qemu-io', args, { stdio: ['pipe', 'pipe', 'pipe'] })
    const holder = new QemuHolder(child)
    let printed = ''
    child.stderr.on('data', (text) => {
      printed += text
    })
    const opened = new Promise<void>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', () => reject(new Error(`qemu-io did not open '${path}': ${printed}`)))
      child.stdout.on('data', (text) => /iB|bytes/.test(String(text)) && resolve())
    })
    child.stdin.write('length\n')
    await opened
    return holder
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Closes the image as a guest that shuts down does. */
  async close(): Promise<void> {
    this.#child.stdin.end('quit\n')
    await this.#ended
  }

  /** Dies with the image open. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}
