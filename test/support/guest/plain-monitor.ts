// SPDX-License-Identifier: Apache-2.0
//
// The least that can drive a job over QMP: one command at a time, and the states that jobs were seen in. It trusts
// QEMU: no deadlines, and a line is a message. It shows the guest at work; it tests nothing of the protocol.

import { createConnection, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

interface Message {
  readonly return?: unknown
  readonly error?: { readonly desc: string }
  readonly event?: string
  readonly data?: { readonly id?: string; readonly status?: string }
}

export class PlainMonitor {
  readonly #socket: Socket
  readonly #messages: AsyncIterator<string>
  /** 'id status' of every job state seen. */
  readonly #seen = new Set<string>()

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#messages = createInterface({ input: socket })[Symbol.asyncIterator]()
  }

  static async connect(path: string): Promise<PlainMonitor> {
    const monitor = new PlainMonitor(createConnection(path))
    await monitor.#next()
    await monitor.execute('qmp_capabilities')
    return monitor
  }

  async execute(command: string, args: object = {}): Promise<unknown> {
    this.#socket.write(JSON.stringify({ execute: command, arguments: args }))
    for (;;) {
      const { return: result, error } = await this.#next()
      if (error !== undefined) throw new Error(`${command}: ${error.desc}`)
      if (result !== undefined) return result
    }
  }

  /** Waits until the job has been seen in this state. */
  async untilJobIs(id: string, status: string): Promise<void> {
    while (!this.#seen.has(`${id} ${status}`)) await this.#next()
  }

  close(): void {
    this.#socket.destroy()
  }

  async #next(): Promise<Message> {
    const { value, done } = await this.#messages.next()
    if (done) throw new Error('QEMU closed the monitor')
    const message = JSON.parse(value) as Message
    if (message.event === 'JOB_STATUS_CHANGE') this.#seen.add(`${message.data?.id} ${message.data?.status}`)
    return message
  }
}
