// SPDX-License-Identifier: Apache-2.0
//
// The QEMU of a random round: it starts over the images of a recipe, or comes in from another one, its guest writes,
// and it ends. What the guest writes goes through HMP's qemu-io on the guest's device, or through an NBD export of a
// storage daemon, to which every write is a process.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { qemuIo } from '../qemu/qemu.js'
import type { QemuProcess } from '../qemu/qemu-process.mjs'
import type { QmpClient } from '../qemu/qmp-client.mjs'
import { startQemu } from '../qemu/start-qemu.js'
import { diskArgs, type GraphImages, guestDevice, rootName } from './nodes.js'
import type { Recipe } from './recipe.js'

const devicePath = `/machine/peripheral/${guestDevice}/virtio-backend`
const patienceMs = 60_000

/** A job as query-jobs tells of it. */
export interface MachineJob {
  readonly id: string
  readonly type: string
  readonly status: string
}

export class GraphMachine {
  hasEnded = false
  /** Whether the machine has ever run; its firmware may have started the disk's I/O thread then. */
  hasRun = false
  #how = ''
  #isExported = false
  #isExpectedToEnd = false

  private constructor(
    readonly recipe: Recipe,
    readonly qemu: QemuProcess,
    readonly client: QmpClient,
    readonly folder: string,
  ) {
    void qemu.ended.then(({ code, signal }) => {
      this.hasEnded = true
      this.#how = `${signal ?? code}`
    })
  }

  /** `name` is that of a folder of its own for its sockets; `from` is what -incoming takes. */
  static async start(recipe: Recipe, images: GraphImages, name: string, from?: string): Promise<GraphMachine> {
    const folder = join(images.folder, name)
    mkdirSync(folder)
    const { program } = recipe
    const own = program === 'qemu-storage-daemon' ? [] : ['-m', '16']
    const args = [...own, ...diskArgs(recipe, images), ...(from === undefined ? [] : ['-incoming', from])]
    const qemu = await startQemu({ folder, cwd: images.folder, program, machine: 'q35', monitors: 2, args })
    return new GraphMachine(recipe, qemu, await qemu.connect(1), folder)
  }

  /** The monitor that is the product's. */
  get monitor(): string {
    return this.qemu.socket
  }

  get isDaemon(): boolean {
    return this.recipe.program === 'qemu-storage-daemon'
  }

  /** What is wrong where it ended and nobody had asked it to; one that is just about to end is waited for. */
  async complaints(): Promise<string[]> {
    await this.#untilEnded()
    if (!this.hasEnded || this.#isExpectedToEnd) return []
    return [`QEMU ended by itself, with ${this.#how}: ${this.qemu.printed.trim()}`]
  }

  /** QEMU 7.2 ends where a stream writes in the moment in which a migration makes its images inactive. */
  async hasEndedOverMigration(): Promise<boolean> {
    await this.#untilEnded()
    return this.hasEnded && /Assertion `!\(bs->open_flags & BDRV_O_INACTIVE\)' failed/.test(this.qemu.printed)
  }

  /** Where its monitor is closed, it has ended or is just about to. */
  async #untilEnded(): Promise<void> {
    if (this.client.isClosed) await Promise.race([this.qemu.ended, pause(1000)])
  }

  async cont(): Promise<void> {
    this.hasRun = true
    await this.client.execute('cont')
  }

  async stop(): Promise<void> {
    await this.client.execute('stop')
  }

  /** The jobs that QEMU has now. */
  async jobs(): Promise<MachineJob[]> {
    return await this.client.execute('query-jobs')
  }

  /** Whoever has limited the streams, they go as fast as they can. */
  async liftLimits(): Promise<void> {
    const jobs: { device: string; type: string; speed: number }[] = await this.client.execute('query-block-jobs')
    for (const { device, type, speed } of jobs) {
      if (type === 'stream' && speed > 0) this.client.send('block-job-set-speed', { device, speed: 0 })
    }
  }

  /** Whether the guest can do something: HMP does not know of a disk that an I/O thread serves, and QEMU dies. */
  get canDoIo(): boolean {
    return this.isDaemon ? this.#isExported : !(this.recipe.hasIothread && this.hasRun)
  }

  /** One command of qemu-io as the guest. */
  async guestIo(command: string): Promise<void> {
    if (!this.isDaemon) {
      const line = `qemu-io -d ${devicePath} "${command}"`
      await this.client.execute('human-monitor-command', { 'command-line': line })
      return
    }
    await qemuIo(`nbd+unix:///disk?socket=${join(this.folder, 'nbd')}`, 'raw', command)
  }

  /** A storage daemon serves the disk to a guest elsewhere. */
  async export(): Promise<void> {
    this.#isExported = true
    await this.client.execute('nbd-server-start', {
      addr: { type: 'unix', data: { path: join(this.folder, 'nbd') } },
    })
    const root = rootName(this.recipe)
    await this.client.execute('block-export-add', {
      type: 'nbd',
      id: 'export0',
      'node-name': root,
      name: 'disk',
      writable: true,
    })
  }

  /** Starts to send the machine to where `uri` leads. */
  async migrate(uri: string): Promise<void> {
    await this.client.execute('migrate', { uri })
  }

  /** How the migration that was started ended: 'completed', 'failed' or 'cancelled'. */
  async migrated(): Promise<string> {
    const until = performance.now() + patienceMs
    while (performance.now() < until) {
      const { status } = await this.client.execute('query-migrate')
      if (['completed', 'failed', 'cancelled'].includes(status)) return status
      await pause(10)
    }
    throw new Error(`the migration is not over after ${patienceMs / 1000} seconds`)
  }

  /** Waits until it is no longer in this state of its run. */
  async leaves(state: string): Promise<void> {
    const until = performance.now() + patienceMs
    while (performance.now() < until) {
      const { status } = await this.client.execute('query-status')
      if (status !== state) return
      await pause(10)
    }
    throw new Error(`the machine is still in '${state}' after ${patienceMs / 1000} seconds`)
  }

  async quit(): Promise<void> {
    this.#isExpectedToEnd = true
    if (this.hasEnded) return
    this.client.send('quit')
    const ended = this.qemu.ended.then(() => true)
    if (await Promise.race([ended, pause(patienceMs, false)])) return
    throw new Error(`QEMU has not ended ${patienceMs / 1000} seconds after it was told to`)
  }

  async kill(): Promise<void> {
    this.#isExpectedToEnd = true
    await this.qemu.kill()
  }
}
