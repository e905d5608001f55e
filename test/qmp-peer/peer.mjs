// SPDX-License-Identifier: Apache-2.0
//
// The peer itself: a socket that serves one client at a time, the machine behind it, the log, and the test's
// hands on both. Clients that come while one is served wait without a word, as at QEMU's monitor.

import { linkSync, renameSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { Machine } from './machine.mjs'
import { Session } from './session.mjs'
import { hasEvent, versions } from './versions.mjs'

/** @typedef {import('./types.js').Fault} Fault */
/** @typedef {import('./types.js').LogEntry} LogEntry */
/** @typedef {import('./types.js').PeerOptions} PeerOptions */

export class QmpPeer {
  #options
  /** @type {import('node:net').Server | undefined} */
  #server
  /** The client that is served first, then those that wait. @type {import('node:net').Socket[]} */
  #sockets = []
  /** @type {Session | undefined} */
  #session
  /** Called, and asked whether they are done, whenever something happens. @type {Set<() => void>} */
  #watchers = new Set()
  /** How many commands of each name received() has given. @type {Map<string, number>} */
  #given = new Map()
  #machine

  /** Everything that happened, in order. @type {LogEntry[]} */
  log = []
  /** @type {Fault[]} */
  faults

  /** @param {PeerOptions} options */
  constructor(options) {
    this.#options = { ...options, version: options.version ?? versions.qemu72 }
    this.faults = [...(options.faults ?? [])]
    this.#machine = this.#makeMachine()
  }

  /** A peer that listens. @param {PeerOptions} options */
  static async start(options) {
    const peer = new QmpPeer(options)
    await peer.listen()
    return peer
  }

  get path() {
    return this.#options.path
  }

  /** Clients that are connected, those that wait included. */
  get clientCount() {
    return this.#sockets.length
  }

  /** Status of a job, or undefined where there is none. @param {string} jobId */
  statusOf(jobId) {
    return this.#machine.jobs.get(jobId)?.status
  }

  /** Moves a job by hand. @param {string} jobId @param {number} bytes */
  advance(jobId, bytes) {
    this.#machine.advance(this.#job(jobId), bytes)
  }

  /** Moves a job to its end. @param {string} jobId */
  complete(jobId) {
    this.advance(jobId, Number.POSITIVE_INFINITY)
  }

  /** An I/O error in a running job; a pending one fails when it is finalized.
   * @param {string} jobId @param {string} text */
  fail(jobId, text) {
    this.#job(jobId).fail(text)
  }

  /** Pauses a job and lets it go on at once, as QEMU does whenever something else needs the disk still.
   * @param {string} jobId */
  drain(jobId) {
    this.#job(jobId).drain()
  }

  /** Cancels a job, as another monitor's client can. @param {string} jobId */
  cancel(jobId) {
    this.#job(jobId).cancel(true)
  }

  /** The job is gone, straight to `null`. @param {string} jobId */
  vanish(jobId) {
    this.#job(jobId).vanish()
  }

  /** Lets all jobs run, each tick by so many bytes; 0 stops them. @param {number} progressPerTick */
  pace(progressPerTick) {
    this.#machine.progressPerTick = progressPerTick
    this.#machine.setPace()
  }

  /** Begins a migration of the guest, by the phases of which migrateTo() takes it. */
  migrate() {
    this.#machine.migration.begin()
  }

  /** @param {import('./types.js').MigrationPhase} phase by all before it */
  migrateTo(phase) {
    this.#machine.migration.goTo(phase)
  }

  cancelMigration() {
    this.#machine.migration.cancel()
  }

  /** @param {string} text */
  failMigration(text) {
    this.#machine.migration.fail(text)
  }

  /** As the command: the guest runs, here, whatever a migration has done. */
  cont() {
    this.#machine.setRunning(true)
  }

  /** As the command `stop`. */
  pauseGuest() {
    this.#machine.setRunning(false)
  }

  /** Raises an event of any kind. @param {string} name @param {Record<string, unknown>} [data] */
  raise(name, data) {
    if (!hasEvent(this.#options.version, name)) return
    this.log.push({ kind: 'event', name, data: data ?? {} })
    this.#session?.raise(name, data)
    this.#look()
  }

  /** Says bytes that are no message. @param {string | Uint8Array} bytes */
  say(bytes) {
    this.#session?.say(bytes)
  }

  /** Misbehaves from now on; gives what ends it. @param {Fault} fault */
  misbehave(fault) {
    this.faults.push(fault)
    return () => {
      this.faults = this.faults.filter((other) => other !== fault)
    }
  }

  /** Ends the connection that is served; QEMU itself goes on. */
  hangUp() {
    this.#sockets[0]?.destroy()
  }

  /** The next command of this name that no earlier call gave, past or to come.
   * @param {string} name @param {number} [timeoutMs] */
  async received(name, timeoutMs = 60_000) {
    const index = this.#given.get(name) ?? 0
    this.#given.set(name, index + 1)
    const find = () => this.log.filter((entry) => entry.kind === 'command' && entry.name === name)[index]
    try {
      return await this.#until(`command ${name}`, timeoutMs, find)
    } catch (error) {
      this.#given.set(name, index)
      throw error
    }
  }

  /** Resolves once no client is connected; at once if none is. @param {number} [timeoutMs] */
  async closed(timeoutMs = 60_000) {
    await this.#until('the end of the connection', timeoutMs, () => this.#sockets.length === 0 || undefined)
  }

  /** As SIGKILL of QEMU: connections end, the socket's file stays and refuses. */
  async kill() {
    const spare = `${this.path}~`
    linkSync(this.path, spare)
    await this.#shut()
    renameSync(spare, this.path)
  }

  /** As a QEMU that was killed and started again: same socket, the disks as at first, no jobs. */
  async restart() {
    if (this.#server !== undefined) await this.kill()
    this.#machine = this.#makeMachine()
    await this.listen()
  }

  /** Ends all of it; the socket's file is gone. */
  async stop() {
    await this.#shut()
    rmSync(this.path, { force: true })
  }

  /** Listens, over a file that a killed one left behind too. */
  async listen() {
    rmSync(this.path, { force: true })
    const server = createServer({ pauseOnConnect: true }, (socket) => this.#admit(socket))
    this.#server = server
    await new Promise((resolve, reject) => {
      server.once('error', reject).listen(this.path, () => resolve(undefined))
    })
  }

  /** @param {import('node:net').Socket} socket */
  #admit(socket) {
    socket.on('error', () => undefined)
    socket.once('close', () => {
      const wasServed = this.#sockets[0] === socket
      this.#sockets = this.#sockets.filter((other) => other !== socket)
      if (wasServed) this.#serveNext()
      this.#look()
    })
    this.#sockets.push(socket)
    if (this.#sockets.length === 1) this.#serveNext()
  }

  #serveNext() {
    this.#session = undefined
    const [socket] = this.#sockets
    if (this.#machine.hasQuit) void this.stop()
    else if (socket) this.#session = new Session(socket, this.#host())
  }

  #host() {
    const peer = this
    return {
      get machine() {
        return peer.#machine
      },
      get faults() {
        return peer.faults
      },
      /** @param {import('./types.js').Command} command */
      note({ name, arguments: args }) {
        peer.log.push({ kind: 'command', name, arguments: args })
        peer.#look()
      },
      crash: () => void peer.kill(),
    }
  }

  #makeMachine() {
    const crash = () => void this.kill()
    return new Machine(this.#options, (event, data) => this.raise(event, data), crash)
  }

  async #shut() {
    this.#machine.stop()
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#sockets.splice(0)) socket.destroy()
    this.#session = undefined
    if (server) await new Promise((resolve) => server.close(resolve))
    this.#look()
  }

  /** @param {string} jobId */
  #job(jobId) {
    const job = this.#machine.jobs.get(jobId)
    if (job !== undefined) return job
    throw new Error(`there is no job '${jobId}'; there are: ${[...this.#machine.jobs.keys()].join(', ') || 'none'}`)
  }

  #look() {
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** @template T @param {string} about @param {number} timeoutMs @param {() => T | undefined} find
   * @returns {Promise<T>} */
  #until(about, timeoutMs, find) {
    const found = find()
    if (found !== undefined) return Promise.resolve(found)
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer)
        this.#watchers.delete(watcher)
      }
      const watcher = () => {
        const value = find()
        if (value === undefined) return
        stop()
        resolve(value)
      }
      const timer = setTimeout(() => {
        stop()
        reject(new Error(`${about} has not come in ${timeoutMs} ms`))
      }, timeoutMs)
      this.#watchers.add(watcher)
    })
  }
}
