// SPDX-License-Identifier: Apache-2.0
//
// A man in the middle of a QMP monitor: it passes messages both ways, and can stop the world at one of them.
//
//     blockpull ──▶ proxy's socket ──▶ QEMU's socket
//                     │ hold(finalize, 'before')   QEMU has not heard of it
//                     │ hold(finalize, 'after')    QEMU has done it, and nobody has heard of that
//
// From a hold on nothing passes in that direction, on whatever connection, until it is released. So a test can kill
// QEMU, or who drives it, at the very point that it is about. Once QEMU is gone the proxy goes, too: who connects
// then must find nobody, as on QEMU's own socket.

import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { MessageSplitter } from '../../qmp-peer/message-splitter.mjs'

type Side = 'before' | 'after'

const patienceMs = 60_000

/** The commands that stand for a point of a live pull: the first that flushes, in any way, and the one that ends it. */
export const flush = ['blockdev-add', 'human-monitor-command'] as const
export const finalize = ['job-finalize'] as const

/** A message that was stopped, or will be. */
export class Hold {
  /** Resolves once the message has come and was stopped. */
  readonly reached: Promise<void>
  #reach: () => void = () => undefined
  readonly #release: () => void

  /** @internal */
  constructor(
    readonly commands: readonly string[],
    readonly side: Side,
    release: () => void,
  ) {
    this.reached = new Promise((resolve, reject) => {
      const late = () => reject(new Error(`nobody has come to ${side} '${commands}' in ${patienceMs} ms`))
      const timer = setTimeout(late, patienceMs)
      this.#reach = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.reached.catch(() => undefined)
    this.#release = release
  }

  /** @internal */
  reach(): void {
    this.#reach()
  }

  /** Lets the message and all that came behind it pass. */
  release(): void {
    this.#release()
  }
}

/** One direction of one connection: messages in their order, kept while a hold stands. */
class Lane {
  readonly #splitter = new MessageSplitter()
  readonly #waiting: string[] = []

  constructor(
    readonly to: Socket,
    readonly stops: (message: Message) => boolean,
  ) {}

  push(bytes: Uint8Array): void {
    this.#waiting.push(...this.#splitter.push(bytes))
    this.flow()
  }

  flow(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.stops(JSON.parse(next) as Message)) return
      this.to.write(`${next}\r\n`)
      this.#waiting.shift()
    }
  }
}

interface Message {
  readonly execute?: string
  readonly id?: number
}

export class QmpProxy {
  /** The names of the commands that came, in order. */
  readonly commands: string[] = []
  readonly #server: Server
  readonly #lanes = new Set<Lane>()
  readonly #clients = new Set<Socket>()
  #hold: Hold | undefined
  /** How many that the hold is about pass before it stops one. */
  #passing = 0

  private constructor(
    readonly path: string,
    readonly target: string,
  ) {
    this.#server = createServer((client) => void this.#serve(client))
  }

  /** Listens at `path` for as long as the test lasts; each client gets a connection of its own to `target`. */
  static async start(path: string, target: string): Promise<QmpProxy> {
    const proxy = new QmpProxy(path, target)
    await new Promise<void>((resolve) => proxy.#server.listen(path, resolve))
    onTestFinished(() => proxy.close())
    return proxy
  }

  /**
   * Stops at the next of such commands, or at the reply to it; `passing` of them pass before. A later hold takes the
   * place of an earlier one.
   */
  hold(commands: readonly string[], side: Side, passing = 0): Hold {
    this.#passing = passing
    const hold: Hold = new Hold(commands, side, () => {
      if (this.#hold === hold) this.#hold = undefined
      for (const lane of this.#lanes) lane.flow()
    })
    this.#hold = hold
    return hold
  }

  /** Breaks every connection; what was held back on them is lost. New ones are served, without a hold. */
  cut(): void {
    this.#hold = undefined
    this.#lanes.clear()
    for (const client of this.#clients) client.destroy()
  }

  close(): void {
    this.#server.close()
    this.cut()
  }

  async #serve(client: Socket): Promise<void> {
    this.#clients.add(client)
    client.on('error', () => undefined)
    client.on('close', () => this.#clients.delete(client))
    const qemu = await this.#reachQemu(client)
    if (qemu === null) return void client.destroy()
    const names = new Map<number, string>()
    const toQemu = this.#lane(qemu, 'before', ({ execute = '', id = -1 }) => {
      if (names.get(id) !== execute) this.commands.push(execute)
      names.set(id, execute)
      return execute
    })
    const toClient = this.#lane(client, 'after', ({ id = -1 }) => names.get(id))
    client.on('data', (bytes) => toQemu.push(bytes))
    qemu.on('data', (bytes) => toClient.push(bytes))
    client.on('close', () => {
      qemu.destroy()
      this.#lanes.delete(toQemu)
      this.#lanes.delete(toClient)
    })
    qemu.on('close', () => client.destroy())
  }

  /** Connects for a client for as long as it stays; null where it has left, or nobody listens any more. */
  async #reachQemu(client: Socket): Promise<Socket | null> {
    while (!client.destroyed) {
      const qemu = createConnection(this.target)
      const code = await new Promise<string>((resolve) => {
        qemu.once('connect', () => resolve('connected'))
        qemu.on('error', ({ code = '' }: NodeJS.ErrnoException) => resolve(code))
      })
      if (code === 'connected' && !client.destroyed) return qemu
      qemu.destroy()
      // Nobody there: then nobody is here either.
      if (code === 'ECONNREFUSED' || code === 'ENOENT') this.#server.close()
      if (code !== 'EAGAIN') return null
      await sleep(10)
    }
    return null
  }

  /** A lane that stops at the message whose command the hold is about. */
  #lane(to: Socket, side: Side, commandOf: (message: Message) => string | undefined): Lane {
    const lane = new Lane(to, (message) => {
      const command = commandOf(message)
      if (this.#hold?.side !== side || !this.#hold.commands.includes(command ?? '')) return false
      if (this.#passing-- > 0) return false
      this.#passing = 0
      this.#hold.reach()
      return true
    })
    this.#lanes.add(lane)
    return lane
  }
}
