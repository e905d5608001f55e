// SPDX-License-Identifier: Apache-2.0
//
// One pull of a random round, asked for as programs and people do: by the API, of a domain described in code or by a
// folder of XML, or by the command. However it was asked for, what is told about its end has one shape.

import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { BlockPullError, type ConnectDescription, type Connection, connect, type Outcome } from '../../../lib/index.js'
import { blockpull } from '../processes/command.js'
import type { GraphMachine } from './machine.js'
import { type GraphImages, guestDevice, rootName } from './nodes.js'
import type { Recipe } from './recipe.js'

/** How a pull ended, or why there was none. */
export interface Told {
  readonly how: 'completed' | 'refused' | 'failed' | 'cancelled' | 'unknown'
  readonly code: string | null
  readonly message: string
  readonly released: readonly string[]
  readonly warnings: readonly string[]
  /** Whether it was seen by another road that nothing is missing; absent where it is not told. */
  readonly verified?: boolean
  readonly durable?: boolean
}

/** What an outcome tells beside what every version of it has. */
type Claims = Pick<Told, 'verified' | 'durable'>

export class GraphPull {
  /** Settles once the job runs, or there is none. */
  readonly begun: Promise<unknown>
  /** Never rejects. */
  readonly told: Promise<Told>
  isOver = false

  constructor(begun: Promise<unknown>, told: Promise<Told>) {
    this.begun = begun
    this.told = told
    void told.then(() => {
      this.isOver = true
    })
  }
}

export class GraphPuller {
  #connection: Connection | null = null

  constructor(
    readonly recipe: Recipe,
    readonly images: GraphImages,
    readonly machine: GraphMachine,
    /** A machine that came in from elsewhere has no XML of its own. */
    readonly hasXml: boolean,
  ) {
    if (!hasXml) return
    symlinkSync(machine.monitor, join(machine.folder, 'vm0.qmp'))
    writeFileSync(this.xmlPath, domainXml(images))
  }

  get xmlPath(): string {
    return join(this.machine.folder, 'vm0.xml')
  }

  /** The disk as it is named to the product. */
  get disk(): string {
    const { ask } = this.recipe
    const active = this.images.layers[0]?.path ?? ''
    if (ask.name === 'path') return active
    if (this.hasXml) return 'vda'
    const names = { device: 'drive0', qdev: guestDevice, node: 'layer0', root: this.#topNode(), target: guestDevice }
    return names[ask.name]
  }

  ask(bytesPerSecond: number): GraphPull {
    const { ask } = this.recipe
    const path = this.images.layers[ask.base]?.path
    const byIndex = this.hasXml && ask.isBaseByIndex && ask.name === 'target'
    const base = ask.base === 0 || path === undefined ? null : byIndex ? `vda[${ask.base}]` : path
    if (ask.by === 'command') return this.#askByCommand(base, bytesPerSecond)
    const job = this.#begin(base, bytesPerSecond)
    const told = job.then(
      async (running) => {
        await running.done.catch(() => undefined)
        return toldOf(running.outcome as Outcome)
      },
      (error: unknown) => refusal(error),
    )
    return new GraphPull(
      job.catch(() => null),
      told,
    )
  }

  async close(): Promise<void> {
    await this.#connection?.close()
    this.#connection = null
  }

  async #begin(base: string | null, bytesPerSecond: number) {
    this.#connection ??= await connect(this.#target)
    const domain = await this.#connection.lookupByName('vm0')
    return await domain.blockPull(this.disk, { base, bytesPerSecond })
  }

  #askByCommand(base: string | null, bytesPerSecond: number): GraphPull {
    const target = this.hasXml ? ['--connect', this.#uri, 'vm0', this.disk] : ['--qmp', this.machine.monitor, this.disk]
    const options = [
      ...(base === null ? [] : ['--base', base]),
      ...(bytesPerSecond > 0 ? ['--bytes', '--bandwidth', String(bytesPerSecond)] : []),
    ]
    const told = blockpull('pull', '--json', ...target, ...options).then(({ stdout, stderr }) =>
      toldByCommand(stdout, stderr),
    )
    // It runs by itself; when its job has begun is not told here.
    return new GraphPull(Promise.race([told, pause(400)]), told)
  }

  get #target(): string | ConnectDescription {
    if (this.hasXml) return this.#uri
    return { domains: [{ name: 'vm0', qmp: this.machine.monitor, disks: [] }] }
  }

  get #uri(): string {
    return `qemu:///embed?root=${encodeURIComponent(this.machine.folder)}`
  }

  #topNode(): string {
    const above = this.recipe.filters.findLast(({ place }) => place === 'above')
    return above?.node ?? rootName(this.recipe)
  }
}

function toldOf(outcome: Outcome & Claims): Told {
  const { state: how, released, warnings, verified, durable, error } = outcome
  const claims = { ...(verified !== undefined && { verified }), ...(durable !== undefined && { durable }) }
  const code = error === null ? null : BlockPullError.is(error) ? error.code : error.name
  return { how, code, message: error?.message ?? '', released, warnings, ...claims }
}

function refusal(error: unknown): Told {
  const code = BlockPullError.is(error) ? error.code : null
  return {
    how: 'refused',
    code,
    message: error instanceof Error ? error.message : `${error}`,
    released: [],
    warnings: [],
  }
}

/** The command says `progress` of every job that it has begun. */
function toldByCommand(stdout: string, stderr: string): Told {
  const lines = stdout.trim().split('\n')
  const last = lines.at(-1) ?? ''
  if (!last.startsWith('{'))
    return { ...refusal(new Error(`the command printed no end: ${stdout}${stderr}`)), how: 'unknown' }
  const { state, code, message, released, warnings, verified, durable } = JSON.parse(last)
  const claims = { ...(verified !== undefined && { verified }), ...(durable !== undefined && { durable }) }
  const wasRefused = state === 'failed' && !lines.some((line) => line.includes('"event":"progress"'))
  const how = wasRefused ? 'refused' : state
  return {
    how,
    code: code ?? null,
    message: message ?? '',
    released,
    warnings: warnings ?? [stderr].filter(Boolean),
    ...claims,
  }
}

/** The domain as libvirt would have it. */
function domainXml({ layers, second }: GraphImages): string {
  const store = layers.slice(1).reduceRight((below, { path, format }) => {
    return `<backingStore type='file'><format type='${format}'/><source file='${path}'/>${below}</backingStore>`
  }, '<backingStore/>')
  const disk = (path: string, target: string, below: string) =>
    `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${path}'/>${below}` +
    `<target dev='${target}' bus='virtio'/></disk>`
  const other = second === null ? '' : disk(second, 'vdb', '')
  const devices = `${disk(layers[0]?.path ?? '', 'vda', store)}${other}`
  return `<domain type='kvm'><name>vm0</name><devices>${devices}</devices></domain>\n`
}
