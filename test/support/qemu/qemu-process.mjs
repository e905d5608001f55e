// SPDX-License-Identifier: Apache-2.0
//
// A real QEMU: qemu-system-x86_64 with a machine that never runs a guest, or qemu-storage-daemon, in a given folder
// and with QMP sockets there. It dies with the process that started it. Tests take theirs from start-qemu.ts, which
// ends it with the test; the programs of test/qemu-defects use it as it is, under plain Node.
//
// BLOCKPULL_QEMU_DIR names a folder with another QEMU than the one on PATH, so that either can be run against it.

import { spawn } from 'node:child_process'
import { basename, join, resolve } from 'node:path'
import { leashed } from '../processes/leash.mjs'
import { QmpClient } from './qmp-client.mjs'

/**
 * @typedef {object} QemuOptions
 * @property {string} folder where its sockets are; its working directory, too, to which names of images are relative
 * @property {'qemu-system-x86_64' | 'qemu-storage-daemon'} [program] the first where none is named
 * @property {'none' | 'q35'} [machine] 'none' has no devices, 'q35' can be given some with -device; default 'none'
 * @property {string} [cwd] its working directory where that is not the folder
 * @property {readonly string[]} [args] further arguments: -drive, -blockdev, -name, ...
 * @property {number} [monitors] how many QMP sockets, each for one client; default 1
 */

/** @typedef {{ readonly code: number | null, readonly signal: NodeJS.Signals | null }} QemuEnd */

const greetingPatienceMs = 60_000

/** Where a program of QEMU's is: in BLOCKPULL_QEMU_DIR, or by its name on PATH. @param {string} name */
export function qemuProgram(name) {
  return join(process.env['BLOCKPULL_QEMU_DIR'] ?? '', name)
}

export class QemuProcess {
  #child
  #hasEnded = false
  #printed = ''

  /** The QMP sockets, by number. @type {readonly string[]} */
  sockets

  /** Resolves once it has ended, in whatever way. @type {Promise<QemuEnd>} */
  ended

  /** Begins to start it; start() also waits for it. @param {QemuOptions} options */
  constructor({ folder, cwd = folder, program = 'qemu-system-x86_64', machine = 'none', args = [], monitors = 1 }) {
    // Names in the working directory, since the path of a socket has room for 107 characters.
    const inCwd = cwd === folder ? '' : folder
    const names = Array.from({ length: monitors }, (_, index) => join(inCwd, `qmp${index}`))
    this.sockets = names.map((name) => resolve(cwd, name))
    const own =
      program === 'qemu-system-x86_64'
        ? [...guestless(machine), ...names.flatMap((name) => ['-qmp', `unix:${name},server=on,wait=off`])]
        : names.flatMap(daemonMonitor)
    const line = leashed(qemuProgram(program), [...own, ...args])
    this.#child = spawn(...line, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child.stderr.on('data', (text) => {
      this.#printed += text
    })
    this.ended = new Promise((settle) => {
      this.#child.once('close', (code, signal) => {
        this.#hasEnded = true
        settle({ code, signal })
      })
    })
  }

  /** Starts it and waits until it greets on its last socket, when the others are there, too.
   * @param {QemuOptions} options */
  static async start(options) {
    const qemu = new QemuProcess(options)
    await qemu.untilItGreets()
    return qemu
  }

  get pid() {
    return this.#child.pid ?? 0
  }

  /** The first QMP socket. */
  get socket() {
    return this.sockets[0] ?? ''
  }

  /** What it has printed on standard error. */
  get printed() {
    return this.#printed
  }

  /** A client of a monitor; nobody else can have one of it at the same time. */
  connect(monitor = 0) {
    return QmpClient.connect(this.sockets[monitor] ?? '')
  }

  /** Ends it by a signal, unless it has ended; resolves once it has. @param {NodeJS.Signals} [signal] */
  kill(signal = 'SIGKILL') {
    if (!this.#hasEnded) this.#child.kill(signal)
    return this.ended
  }

  /** Ends it over QMP as the end of a guest does: it flushes and closes everything. Without a client of the caller's
   * the first monitor must be free. @param {QmpClient} [client] */
  async quit(client) {
    const asking = client ?? (await this.connect())
    await asking.execute('quit')
    return await this.ended
  }

  async untilItGreets() {
    const until = performance.now() + greetingPatienceMs
    while (performance.now() < until) {
      if (this.#hasEnded) throw new Error(`QEMU ended at its start: ${this.#printed}`)
      try {
        const client = await QmpClient.open(this.sockets.at(-1) ?? '')
        await client.greeting()
        return await client.close()
      } catch {
        // Not there yet: the socket is made before it listens.
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    throw new Error(`QEMU has not greeted in ${greetingPatienceMs / 1000} seconds: ${this.#printed}`)
  }
}

/** @param {string} machine */
function guestless(machine) {
  return ['-machine', machine, '-accel', 'tcg', '-S', '-display', 'none', '-nodefaults']
}

/** @param {string} path */
function daemonMonitor(path) {
  const id = basename(path)
  return ['--chardev', `socket,path=${path},server=on,wait=off,id=${id}`, '--monitor', `chardev=${id}`]
}
