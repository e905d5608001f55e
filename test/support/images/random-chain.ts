// SPDX-License-Identifier: Apache-2.0
//
// Makes random chains with QEMU's tools: every dimension that the engine meets, in small images. Layers are made
// from the bottom up and listed with the active one first, as everywhere. Every command is noted down, so that a
// chain that fails can be made again by hand.
//
//     active        qcow2, version 2 or 3, anything that can be written today
//     in between    qcow2, and what can only be read: extended L2, internal snapshots, bitmaps
//     bottom        one of these, or raw: sparse, preallocated, of odd length
//
// What is chosen from is in random-layer.ts.

import { mkdirSync, truncateSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { run, runWell } from '../processes/run-program.js'
import { isDamaged } from '../qemu/qemu.js'
import type { Random } from '../random.js'
import { chooseLayer, type LayerKind, type LayerShape, writeCommands } from './random-layer.js'

export interface RandomChain {
  readonly folder: string
  /** The active layer first. */
  readonly layers: readonly LayerShape[]
  /** What made it, as a shell would take it. */
  readonly commands: readonly string[]
}

/** How deep and how large chains are made; sizes are in sectors. */
export interface ChainBounds {
  /** Layers below the active one, each choice as likely as the next. */
  readonly depths: readonly [number, ...number[]]
  readonly leastSize: number
  /** Whether the active layer has extended L2 entries. */
  readonly isExtended?: boolean
}

export const anyChain: ChainBounds = { depths: [1, 1, 2, 2, 3, 4, 6, 10], leastSize: 16 }

export async function makeRandomChain(random: Random, folder: string, bounds = anyChain): Promise<RandomChain> {
  const maker = new ChainMaker(random, folder)
  const depth = random.pick(bounds.depths)
  const commonSize = 512 * random.scaled(bounds.leastSize, 6144)
  const hasOwnSizes = random.chance(0.6)
  for (let level = depth; level >= 0; level--) {
    const active: LayerKind = bounds.isExtended === true ? 'extended' : 'active'
    const kind: LayerKind = level === 0 ? active : level === depth ? 'bottom' : 'between'
    const size = hasOwnSizes && random.chance(0.4) ? 512 * random.scaled(1, 6144) : commonSize
    await maker.add(chooseLayer(random, kind, size, maker.pathOf(level)))
  }
  return { folder, layers: maker.layers.reverse(), commands: maker.commands }
}

class ChainMaker {
  readonly layers: LayerShape[] = []
  readonly commands: string[] = []

  constructor(
    readonly random: Random,
    readonly folder: string,
  ) {}

  /** One layer in three lies in a folder of its own. */
  pathOf(level: number): string {
    if (!this.random.chance(0.3)) return join(this.folder, `layer${level}`)
    mkdirSync(join(this.folder, `sub${level}`))
    return join(this.folder, `sub${level}`, `layer${level}`)
  }

  async add(layer: LayerShape): Promise<void> {
    const backing = this.layers.at(-1)
    await this.#must('qemu-img', ['create', '-q', ...this.#createArguments(layer, backing)])
    this.layers.push(layer)
    await this.#change(layer)
    if (layer.hasSnapshot) {
      // None is taken where a refcount would pass its limit, as of a host cluster that many compressed ones share.
      await this.#may('qemu-img', ['snapshot', '-c', 's1', layer.path])
      await this.#change(layer)
    } else if (layer.grownSize > layer.size) {
      const shrink = this.random.chance(0.3) ? layer.size - 512 * this.random.below(layer.size / 512) : layer.grownSize
      const flags = shrink < layer.size ? ['--shrink'] : []
      // Growing version 2 over a larger backing file is more than QEMU can do; the layer stays as it is then.
      await this.#may('qemu-img', ['resize', '-q', ...flags, '-f', layer.format, layer.path, String(shrink)])
    }
    if (layer.hasBitmap) await this.#mustUnlessDamaged(layer, ['bitmap', '--add', '-f', 'qcow2', layer.path, 'b1'])
    if (layer.oddBytes > 0) {
      truncateSync(layer.path, layer.size - layer.oddBytes)
      this.commands.push(`truncate -s ${layer.size - layer.oddBytes} ${layer.path}`)
    }
  }

  #createArguments(layer: LayerShape, backing: LayerShape | undefined): string[] {
    const options = layer.createOptions.length > 0 ? ['-o', layer.createOptions.join(',')] : []
    const link = backing === undefined ? [] : ['-b', this.#nameOf(backing, layer), '-F', backing.format]
    return ['-f', layer.format, ...options, ...link, layer.path, String(layer.size)]
  }

  #nameOf(backing: LayerShape, overlay: LayerShape): string {
    if (this.random.chance(0.3)) return backing.path
    const name = relative(dirname(overlay.path), backing.path)
    return this.random.chance(0.2) && basename(name) === name ? `./${name}` : name
  }

  async #change(layer: LayerShape): Promise<void> {
    const commands = writeCommands(this.random, layer)
    if (commands.length === 0) return
    const args = ['-d', 'unmap', '-f', layer.format, ...commands.flatMap((command) => ['-c', command]), layer.path]
    // A command that the image cannot do (zeroes in version 2, say) changes nothing.
    await this.#may('qemu-io', args)
  }

  async #may(program: string, args: string[]): Promise<void> {
    this.#note(program, args)
    await run(program, args)
  }

  /** A layer that QEMU has damaged refuses every change; such a chain is not judged. */
  async #mustUnlessDamaged(layer: LayerShape, args: string[]): Promise<void> {
    this.#note('qemu-img', args)
    const { code, stderr } = await run('qemu-img', args)
    if (code !== 0 && !(await isDamaged(layer.path))) throw new Error(`'${layer.path}' takes no ${args[0]}: ${stderr}`)
  }

  async #must(program: string, args: string[]): Promise<void> {
    this.#note(program, args)
    await runWell(program, args)
  }

  #note(program: string, args: readonly string[]): void {
    this.commands.push([program, ...args.map((arg) => (/[^\w./=,-]/.test(arg) ? `'${arg}'` : arg))].join(' '))
  }
}
