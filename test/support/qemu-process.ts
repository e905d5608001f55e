// SPDX-License-Identifier: Apache-2.0
//
// A real QEMU for a test: qemu-system-x86_64 with a machine that never runs a guest, or qemu-storage-daemon, in a
// given folder and with QMP sockets there. It is killed when the test that started it has ended (the file, when a
// hook started it), and the kernel kills it should the test's process die first.
//
// BLOCKPULL_QEMU_DIR names a folder with another QEMU than the one in PATH, so that the tests can be run against it.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { basename, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { afterAll, onTestFinished, TestRunner } from 'vitest'
import { QmpClient } from './qmp-client.mjs'

export interface QemuOptions {
  /** Where its sockets are; its working directory, too, to which names of images are relative. */
  readonly folder: string
  readonly program?: 'qemu-system-x86_64' | 'qemu-storage-daemon'
  /** 'none' has no devices, 'q35' can be given some with -device. Default 'none'. */
  readonly machine?: 'none' | 'q35'
  /** Its working directory where that is not the folder. */
  readonly cwd?: string
  /** Further arguments: -drive, -blockdev, -name, ... */
  readonly args?: readonly string[]
  /** How many QMP sockets, each for one client; default 1. */
  readonly monitors?: number
}

/** Those that a hook started, which live as long as the file. */
const ofThisFile = new Set<QemuProcess>()

afterAll(async () => {
  for (const qemu of ofThisFile) await qemu.kill()
})

export class QemuProcess {
  readonly #child: ChildProcessByStdio<null, null, Readable>
  readonly #ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  #hasEnded = false
  #printed = ''

  /** The QMP sockets, by number. */
  readonly sockets: readonly string[]

  private constructor(options: QemuOptions) {
    const { folder, cwd = folder, program = 'qemu-system-x86_64', machine = 'none', args = [], monitors = 1 } = options
    const inCwd = cwd === folder ? '' : folder
    const names = Array.from({ length: monitors }, (_, index) => join(inCwd, `qmp${index}`))
    this.sockets = names.map((name) => resolve(cwd, name))
    const own =
      program === 'qemu-system-x86_64'
        ? [...guestless(machine), ...names.flatMap((name) => ['-qmp', `unix:${name},server=on,wait=off`])]
        : names.flatMap(daemonMonitor)
    // setpriv becomes QEMU, which then dies with the process that started it.
    const line = ['--pdeathsig', 'SIGKILL', qemuProgram(program), ...own, ...args]
    this.#child = spawn('setpriv', line, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child.stderr.on('data', (text) => {
      this.#printed += text
    })
    this.#ended = new Promise((settle) => {
      this.#child.once('close', (code, signal) => {
        this.#hasEnded = true
        settle({ code, signal })
      })
    })
  }

  /** Starts it and waits until it greets on its first socket. */
  static async start(options: QemuOptions): Promise<QemuProcess> {
    const qemu = new QemuProcess(options)
    if (TestRunner.getCurrentTest() === undefined) ofThisFile.add(qemu)
    else onTestFinished(() => qemu.kill().then(() => undefined))
    await qemu.#untilItGreets()
    return qemu
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The first QMP socket. */
  get socket(): string {
    return this.sockets[0] ?? ''
  }

  /** What it has printed on standard error. */
  get printed(): string {
    return this.#printed
  }

  /** A client of a monitor; nobody else can have one of it at the same time. */
  connect(monitor = 0): Promise<QmpClient> {
    return QmpClient.connect(this.sockets[monitor] ?? '')
  }

  /** Ends it by a signal, unless it has ended; resolves once it has. */
  async kill(signal: NodeJS.Signals = 'SIGKILL') {
    if (!this.#hasEnded) this.#child.kill(signal)
    return this.#ended
  }

  /** Ends it over QMP, as who shuts a guest down does. The first monitor must be free. */
  async quit() {
    const client = await this.connect()
    await client.execute('quit')
    await client.close()
    return this.#ended
  }

  /** Resolves once it has ended by itself. */
  get ended() {
    return this.#ended
  }

  async #untilItGreets(): Promise<void> {
    const until = performance.now() + 20_000
    while (performance.now() < until) {
      if (this.#hasEnded) throw new Error(`QEMU ended at its start: ${this.#printed}`)
      try {
        const client = await QmpClient.open(this.socket)
        await client.greeting()
        return await client.close()
      } catch {
        // Not there yet: the socket is made before it listens.
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    throw new Error(`QEMU has not greeted in 20 seconds: ${this.#printed}`)
  }
}

/** Where a program of QEMU's is: by its name in PATH, or in BLOCKPULL_QEMU_DIR. */
export function qemuProgram(name: string): string {
  return join(process.env.BLOCKPULL_QEMU_DIR ?? '', name)
}

function guestless(machine: string): string[] {
  return ['-machine', machine, '-accel', 'tcg', '-S', '-display', 'none', '-nodefaults']
}

function daemonMonitor(name: string): string[] {
  return [
    '--chardev',
    `socket,path=${name},server=on,wait=off,id=${basename(name)}`,
    '--monitor',
    `chardev=${basename(name)}`,
  ]
}
