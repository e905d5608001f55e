// SPDX-License-Identifier: Apache-2.0
//
// One client's connection: greeting, negotiation, requests in, replies and events out. Everything that goes out
// passes the faults first, in their order, and then one queue of writes, so that messages that are cut into
// pieces never mix. Without faults it does what QEMU's monitor does with one command at a time.

import { carryOut, describeVersion } from './commands.mjs'
import { MessageSplitter } from './message-splitter.mjs'
import { QemuCrash, QmpFailure } from './qmp-failure.mjs'

/** @typedef {import('./types.js').Command} Command */
/** @typedef {import('./types.js').Fault} Fault */
/** @typedef {import('./types.js').Outgoing} Outgoing */

/** @typedef {{ machine: import('./machine.mjs').Machine, faults: Fault[], note: (command: Command) => void,
 *   crash: () => void }} Host */

export class Session {
  #socket
  #host
  #splitter = new MessageSplitter()
  #isNegotiated = false
  /** Writes that wait for their turn. @type {(() => void)[]} */
  #queue = []

  /** @param {import('node:net').Socket} socket @param {Host} host */
  constructor(socket, host) {
    this.#socket = socket
    this.#host = host
    socket.on('data', (bytes) => {
      for (const text of this.#splitter.push(bytes)) this.#take(text)
    })
    socket.resume()
    const { version } = host.machine
    const message = { QMP: { version: describeVersion(version), capabilities: version.capabilities } }
    this.#send({ kind: 'greeting', message })
  }

  /** @param {string} name @param {Record<string, unknown>} [data] */
  raise(name, data) {
    if (!this.#isNegotiated) return
    const milliseconds = Date.now()
    const timestamp = { seconds: Math.floor(milliseconds / 1000), microseconds: (milliseconds % 1000) * 1000 }
    const message = { timestamp, event: name, ...(data && { data }) }
    this.#send({ kind: 'event', message, name, data: data ?? {} })
  }

  /** @param {string | Uint8Array} bytes */
  say(bytes) {
    this.#enqueue(() => this.#socket.write(bytes))
  }

  hangUp() {
    this.#enqueue(() => this.#socket.destroySoon())
  }

  /** @param {string} text */
  #take(text) {
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    /** @type {any} */
    let request
    try {
      request = JSON.parse(text)
    } catch {
      return this.#print({ error: { class: 'GenericError', desc: 'JSON parse error, invalid request' } })
    }
    const desc = complaintAbout(request)
    const named = Array.isArray(request) || request.id === undefined ? {} : { id: request.id }
    if (desc !== undefined) return this.#print({ ...named, error: { class: 'GenericError', desc } })
    this.#answer({ name: request.execute, arguments: request.arguments ?? {}, ...named })
  }

  /** @param {Command} command */
  #answer(command) {
    this.#host.note(command)
    const id = command.id === undefined ? {} : { id: command.id }
    let message
    try {
      const returned = this.#carryOut(command)
      if (returned === 'ignore') return
      message = { return: returned, ...id }
    } catch (failure) {
      if (failure instanceof QemuCrash) return this.#host.crash()
      if (!(failure instanceof QmpFailure)) throw failure
      message = { ...id, error: { class: failure.class, desc: failure.message } }
    }
    this.#send({ kind: 'reply', message, command })
    if (this.#host.machine.hasQuit) this.hangUp()
  }

  /** @param {Command} command */
  #carryOut(command) {
    for (const fault of this.#host.faults) {
      const instead = fault.received?.(command, this)
      if (instead === 'ignore') return instead
      if (instead === undefined) continue
      if ('return' in instead) return instead.return
      throw new QmpFailure(instead.error.desc, instead.error.class)
    }
    if (command.name === 'qmp_capabilities') return this.#negotiate()
    if (this.#isNegotiated) return carryOut(this.#host.machine, command)
    throw new QmpFailure("Expecting capabilities negotiation with 'qmp_capabilities'", 'CommandNotFound')
  }

  #negotiate() {
    if (this.#isNegotiated) {
      throw new QmpFailure('Capabilities negotiation is already complete, command ignored', 'CommandNotFound')
    }
    this.#isNegotiated = true
    return {}
  }

  /** @param {Outgoing} outgoing */
  #send(outgoing) {
    const { faults } = this.#host
    /** @param {number} index */
    const pass = (index) => {
      const next = faults.findIndex((fault, at) => at >= index && fault.outgoing !== undefined)
      if (next === -1) this.#print(outgoing.message)
      else faults[next]?.outgoing?.(outgoing, () => pass(next + 1), this)
    }
    pass(0)
  }

  /** @param {object} message */
  #print(message) {
    const { faults } = this.#host
    const print = faults.find((fault) => fault.print)?.print ?? JSON.stringify
    const cut = faults.find((fault) => fault.cut)?.cut ?? ((/** @type {Buffer} */ whole) => [whole])
    for (const piece of cut(Buffer.from(toAscii(`${print(message)}\n`)))) this.say(piece)
  }

  /** One write a turn of the event loop, so that the other side can see each by itself. @param {() => void} write */
  #enqueue(write) {
    this.#queue.push(write)
    if (this.#queue.length === 1) this.#writeNext()
  }

  #writeNext() {
    this.#queue[0]?.()
    setImmediate(() => {
      this.#queue.shift()
      if (this.#queue.length > 0) this.#writeNext()
    })
  }
}

/** What QEMU says of a request that is JSON and no command, or undefined. @param {any} request */
function complaintAbout(request) {
  if (Array.isArray(request)) return 'QMP input must be a JSON object'
  const stranger = Object.keys(request).find((name) => !['execute', 'arguments', 'id'].includes(name))
  if (stranger !== undefined) return `QMP input member '${stranger}' is unexpected`
  if (request.execute === undefined) return "QMP input lacks member 'execute'"
  if (typeof request.execute !== 'string') return "QMP input member 'execute' must be a string"
  const args = request.arguments
  const isObject = typeof args === 'object' && args !== null && !Array.isArray(args)
  return args === undefined || isObject ? undefined : "QMP input member 'arguments' must be an object"
}

/** QEMU's output has nothing but ASCII, and ends its lines with '\r\n'. @param {string} text */
function toAscii(text) {
  return text
    .replaceAll('\n', '\r\n')
    .replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`)
}
