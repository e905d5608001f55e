// SPDX-License-Identifier: Apache-2.0
//
// A QMP client as small as one can be that is still right: replies are matched by id, whatever their order, and
// events are kept until somebody asks for them, since they may come before the reply of the command that caused
// them. Every wait has an end, and says what it waited for. Numbers are JavaScript's: exact up to 2^53.

import { createConnection } from 'node:net'
import { MessageSplitter } from '../../qmp-peer/message-splitter.mjs'

/** @typedef {{ event: string, data: Record<string, any>, timestamp: object }} QmpEvent */
/** @typedef {{ timeoutMs?: number }} Patience */
/** @typedef {{ about: string, accepts: (message: any) => boolean, resolve: (message: any) => void,
 *   reject: (error: Error) => void }} Waiter */

/** A command that the other side refused. */
export class QmpError extends Error {
  /** @param {string} command @param {{ class: string, desc: string }} error */
  constructor(command, error) {
    super(`${command}: ${error.desc}`)
    this.name = 'QmpError'
    this.class = error.class
    this.desc = error.desc
  }
}

export class QmpClient {
  #socket
  #splitter = new MessageSplitter()
  #nextId = 1
  /** @type {Waiter[]} */
  #waiters = []
  /** What came and nobody has asked for yet. @type {any[]} */
  #kept = []

  /** Every message that came, in order, the greeting first. @type {any[]} */
  messages = []
  /** The names of the commands that were sent, by id. @type {Map<number, string>} */
  sent = new Map()
  /** Resolves once the other side has closed, or close() was called. @type {Promise<void>} */
  closed

  /** @param {import('node:net').Socket} socket */
  constructor(socket) {
    this.#socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => undefined)
    socket.on('close', () => this.#abandon())
    socket.on('data', (bytes) => {
      for (const text of this.#splitter.push(bytes)) this.#take(JSON.parse(text))
    })
  }

  /** Connects, and waits for nothing more. @param {string} path @returns {Promise<QmpClient>} */
  static async open(path) {
    const socket = createConnection(path)
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new QmpClient(socket)
  }

  /** Connects, reads the greeting and negotiates. @param {string} path @param {Patience} [patience] */
  static async connect(path, patience) {
    const client = await QmpClient.open(path)
    try {
      await client.greeting(patience)
      await client.execute('qmp_capabilities', undefined, patience)
    } catch (error) {
      await client.close()
      throw error
    }
    return client
  }

  /** The greeting's `QMP` member. @param {Patience} [patience] */
  async greeting(patience) {
    return (await this.#wait('the greeting', (message) => 'QMP' in message, patience)).QMP
  }

  /** What the command returned; rejects with QmpError.
   * @param {string} command @param {object} [args] @param {Patience} [patience] @returns {Promise<any>} */
  async execute(command, args, patience) {
    const id = this.send(command, args)
    const reply = await this.#wait(`the reply to ${command}`, (message) => message.id === id, patience)
    if (reply.error !== undefined) throw new QmpError(command, reply.error)
    return reply.return
  }

  /** Sends a command and does not wait; gives its id. @param {string} command @param {object} [args] */
  send(command, args) {
    const id = this.#nextId++
    this.sent.set(id, command)
    this.write(JSON.stringify({ execute: command, arguments: args, id }))
    return id
  }

  /** Sends bytes as they are. @param {string | Uint8Array} bytes */
  write(bytes) {
    this.#socket.write(bytes)
  }

  /** The oldest event of this name that no earlier call was given, past or to come.
   * @param {string} name @param {(data: any) => boolean} [accepts] @param {Patience} [patience]
   * @returns {Promise<QmpEvent>} */
  event(name, accepts = () => true, patience) {
    return this.#wait(`event ${name}`, (message) => message.event === name && accepts(message.data), patience)
  }

  /** The first `JOB_STATUS_CHANGE` of the job to this status that no earlier call was given.
   * @param {string} id @param {string} status @param {Patience} [patience] */
  status(id, status, patience) {
    return this.event('JOB_STATUS_CHANGE', (data) => data.id === id && data.status === status, patience)
  }

  /** The oldest message that is neither a reply by id nor an event: an error without an id.
   * @param {Patience} [patience] */
  stray(patience) {
    return this.#wait('a message without an id', (message) => 'error' in message && !('id' in message), patience)
  }

  get isClosed() {
    return this.#socket.destroyed
  }

  async close() {
    this.#socket.destroy()
    await this.closed
  }

  /** @param {any} message */
  #take(message) {
    this.messages.push(message)
    const index = this.#waiters.findIndex((waiter) => waiter.accepts(message))
    if (index === -1) this.#kept.push(message)
    else this.#waiters.splice(index, 1)[0]?.resolve(message)
  }

  #abandon() {
    for (const { about, reject } of this.#waiters.splice(0)) {
      reject(new Error(`the connection was closed before ${about} came`))
    }
  }

  /** @param {string} about @param {(message: any) => boolean} accepts @param {Patience} [patience]
   * @returns {Promise<any>} */
  #wait(about, accepts, { timeoutMs = 60_000 } = {}) {
    const index = this.#kept.findIndex(accepts)
    if (index !== -1) return Promise.resolve(this.#kept.splice(index, 1)[0])
    if (this.#socket.destroyed) return Promise.reject(new Error(`the connection is closed; ${about} cannot come`))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
        reject(new Error(`${about} has not come in ${timeoutMs} ms`))
      }, timeoutMs)
      /** @param {(value: any) => void} settle */
      const once = (settle) => (/** @type {any} */ value) => {
        clearTimeout(timer)
        settle(value)
      }
      const waiter = { about, accepts, resolve: once(resolve), reject: once(reject) }
      this.#waiters.push(waiter)
    })
  }
}
