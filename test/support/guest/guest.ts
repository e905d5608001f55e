// SPDX-License-Identifier: Apache-2.0
//
// A running guest: QEMU with Debian's kernel and a small initramfs whose one program writes to the disk and checks
// what it reads back (disk_worker.cc says how). scripts/build-guest makes both and finds out whether KVM works.
//
//      test process                             QEMU                         guest
//      Guest.order('verify') --- stdin ---> second serial line ---> disk worker ---> /dev/vda
//                            <-- stdout --                      <-- 'ok 16384'
//
// The first serial line is the kernel's console, a file; what it says last is part of every failure. QEMU dies with
// the process that started it (leash.mjs), so that no guest outlives a test that was killed.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { leashed } from '../processes/leash.mjs'
import { qemuProgram } from '../qemu/qemu-process.mjs'

/** Options of one block node, as -blockdev and blockdev-add take them. */
export type Blockdev = Readonly<Record<string, unknown>> & { readonly 'node-name': string }

export interface GuestOptions {
  /** Where the console's log goes. */
  readonly folder: string
  /** A qcow2 image, whose node is then called 'disk', or block nodes, lowest first; the last is /dev/vda. */
  readonly disk: string | readonly Blockdev[]
  /** Paths at which QEMU listens for QMP clients, one client each. */
  readonly qmpSockets?: readonly string[]
  /** Further arguments for QEMU, such as -name. */
  readonly arguments?: readonly string[]
  /** The `savevm` snapshot that the guest goes on from, in place of a boot. */
  readonly loadvm?: string
}

export interface LoopReport {
  readonly writes: number
  readonly bytesWritten: number
  readonly blocksVerified: number
  readonly milliseconds: number
}

/** What Debian's kernel with this initramfs is comfortable in. */
const memoryMiB = 192

/** It takes four seconds; tests share the machine with others. */
const bootPatienceMs = 60_000
const orderPatienceMs = 60_000

const built = join(import.meta.dirname, '../../../build-cmake/guest')

/** The nodes of an image that the guest may write, trim and fill with zeros. */
export function qcow2Nodes(path: string, name = 'disk'): Blockdev[] {
  return [
    { 'node-name': `${name}-file`, driver: 'file', filename: path, discard: 'unmap' },
    { 'node-name': name, driver: 'qcow2', file: `${name}-file`, discard: 'unmap' },
  ]
}

/** Boots a guest; resolves once it takes orders. One that goes on from a snapshot takes them at once. */
export async function startGuest(options: GuestOptions): Promise<Guest> {
  const accelerator = readAccelerator()
  const startedAt = performance.now()
  const log = join(options.folder, 'console.log')
  const line = leashed(qemuProgram('qemu-system-x86_64'), qemuArguments(options, accelerator, log))
  const guest = new Guest(spawn(...line, { stdio: 'pipe' }), accelerator, log)
  try {
    if (options.loadvm !== undefined) return guest
    const [word, size] = (await guest.nextLine('come up', bootPatienceMs)).split(' ')
    if (word !== 'ready') throw new Error(`the guest came up with '${word} ${size}' in place of 'ready'`)
    guest.diskBytes = Number(size)
    guest.bootMilliseconds = performance.now() - startedAt
    return guest
  } catch (error) {
    await guest.kill()
    throw error
  }
}

function readAccelerator(): 'kvm' | 'tcg' {
  const file = join(built, 'accelerator')
  if (!existsSync(file)) throw new Error(`there is no guest in '${built}'; run scripts/build-guest`)
  return readFileSync(file, 'utf8').startsWith('kvm') ? 'kvm' : 'tcg'
}

function qemuArguments(options: GuestOptions, accelerator: string, log: string): string[] {
  const nodes = typeof options.disk === 'string' ? qcow2Nodes(options.disk) : options.disk
  const top = nodes.at(-1)?.['node-name']
  // Quiet, and without what only real machines need: half a second less under TCG.
  const kernelWords = 'console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check tsc=reliable'
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-accel', accelerator, '-m', String(memoryMiB)],
    ...['-kernel', join(built, 'vmlinuz'), '-initrd', join(built, 'initrd.gz'), '-append', kernelWords],
    ...['-serial', `file:${log}`, '-serial', 'stdio'],
    ...nodes.flatMap((node) => ['-blockdev', JSON.stringify(node)]),
    ...['-device', `virtio-blk-pci,drive=${top},id=vda`],
    ...(options.qmpSockets ?? []).flatMap((path) => ['-qmp', `unix:${path},server=on,wait=off`]),
    ...(options.arguments ?? []),
    ...(options.loadvm === undefined ? [] : ['-loadvm', options.loadvm]),
  ]
}

interface Waiter {
  readonly resolve: (line: string) => void
  readonly reject: (error: Error) => void
}

export class Guest {
  readonly accelerator: 'kvm' | 'tcg'
  diskBytes = 0
  bootMilliseconds = 0
  /** Resolves with QEMU's exit code, null after a signal, however it ends. */
  readonly ended: Promise<number | null>

  readonly #qemu: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #log: string
  #waiter: Waiter | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #hasEnded = false
  #stderr = ''

  constructor(qemu: ChildProcessByStdio<Writable, Readable, Readable>, accelerator: 'kvm' | 'tcg', log: string) {
    this.#qemu = qemu
    this.#log = log
    this.accelerator = accelerator
    qemu.stderr.on('data', (text) => {
      this.#stderr += text
    })
    qemu.stdin.on('error', () => undefined)
    createInterface({ input: qemu.stdout }).on('line', (line) => this.#waiter?.resolve(line.trim()))
    this.ended = new Promise((resolve) => {
      qemu.once('error', () => resolve(null))
      qemu.once('close', resolve)
    })
    void this.ended.then(() => {
      this.#hasEnded = true
      this.#waiter?.reject(this.#failure('QEMU has ended'))
    })
  }

  /** QEMU's process. */
  get pid(): number {
    return this.#qemu.pid ?? 0
  }

  /** What disk_worker.cc answers to an order, without its 'ok'; rejects with its 'error'. One order at a time. */
  order(order: string): Promise<string> {
    const answer = this.#turn.then(async () => {
      this.#qemu.stdin.write(`${order}\n`)
      const line = await this.nextLine(`answer '${order}'`, orderPatienceMs)
      if (line !== 'ok' && !line.startsWith('ok ')) throw new Error(`the guest answered '${order}' with: ${line}`)
      return line.slice('ok '.length)
    })
    this.#turn = answer.catch(() => undefined)
    return answer
  }

  /** Takes all that the guest reads from its disk now as what it must read from here on; gives the 4 KiB blocks. */
  async remember(): Promise<number> {
    return Number(await this.order('remember'))
  }

  /** Writes `count` extents of 4 to 64 KiB at random places; gives the bytes. */
  async write(seed: number, count: number): Promise<number> {
    return Number(await this.order(`write ${seed} ${count}`))
  }

  /** Rejects unless every block that was written or remembered reads as it must; gives their number. */
  async verify(): Promise<number> {
    return Number(await this.order('verify'))
  }

  /** From now on the guest writes, flushes and verifies while it has no order, with pauses between the turns. */
  async startLoop(seed: number, pauseMs = 0): Promise<void> {
    await this.order(`loop start ${seed} ${pauseMs}`)
  }

  /** Ends the loop; rejects with the first block that was not as it must be. */
  async stopLoop(): Promise<LoopReport> {
    const [writes, bytesWritten, blocksVerified, milliseconds] = (await this.order('loop stop')).split(' ').map(Number)
    return { writes, bytesWritten, blocksVerified, milliseconds } as LoopReport
  }

  /** SHA-256 of the disk, or of a range of whole 4 KiB blocks, as the guest reads it. */
  sum(range?: { readonly offset: number; readonly length: number }): Promise<string> {
    return this.order(range === undefined ? 'sum' : `sum ${range.offset} ${range.length}`)
  }

  /** Flushes the disk. */
  async sync(): Promise<void> {
    await this.order('sync')
  }

  /** The guest turns itself off; resolves once QEMU has closed the image and ended. */
  async powerOff(): Promise<void> {
    await this.#turn
    this.#qemu.stdin.write('poweroff\n')
    const code = await bounded(this.ended, orderPatienceMs, () => this.#failure('the guest does not power off'))
    if (code !== 0) throw this.#failure(`QEMU ended with ${code} when the guest powered off`)
  }

  /** Power loss, and the end of every test: harmless where QEMU has ended. */
  async kill(): Promise<void> {
    this.#qemu.kill('SIGKILL')
    await this.ended
  }

  /** The next line from the guest; for startGuest() and order(). */
  async nextLine(wanted: string, patienceMs: number): Promise<string> {
    if (this.#hasEnded) throw this.#failure('QEMU has ended')
    const line = new Promise<string>((resolve, reject) => {
      this.#waiter = { resolve, reject }
    })
    try {
      return await bounded(line, patienceMs, () => this.#failure(`the guest did not ${wanted} within ${patienceMs} ms`))
    } finally {
      this.#waiter = undefined
    }
  }

  #failure(what: string): Error {
    const console = existsSync(this.#log) ? readFileSync(this.#log, 'utf8').slice(-2000) : ''
    return new Error(`${what} (${this.accelerator}); QEMU said: ${this.#stderr}; the console said: ${console}`)
  }
}

async function bounded<T>(promise: Promise<T>, patienceMs: number, failure: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(failure()), patienceMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
