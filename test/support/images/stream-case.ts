// SPDX-License-Identifier: Apache-2.0
//
// Chains made by recipe, from the bottom up, as QEMU's own tests make theirs, and the pull that must go well: in
// this process, through the API, judged by everything in pull-verdict.ts.

import { join } from 'node:path'
import { expect } from 'vitest'
import { type Completion, type PullImageOptions, pullImage } from '../../../lib/index.js'
import { qemuImg, qemuIo } from '../qemu/qemu.js'
import { Judge } from './pull-verdict.js'

export interface LayerRecipe {
  /** Default: 'layer' and the place counted from the bottom, 'layer0' first. */
  readonly name?: string
  readonly format?: 'qcow2' | 'raw'
  /** As qemu-img takes it: 1048576 or '1M'. */
  readonly size: number | string
  /** What `-o` takes. */
  readonly options?: string
  /** What qemu-io does to it, in this order. */
  readonly io?: readonly string[]
}

/** A chain on disk, the active layer first. */
export interface CaseChain {
  readonly folder: string
  readonly layers: readonly { readonly path: string; readonly format: string }[]
  /** The active layer's path. */
  readonly top: string
}

/** Makes a chain, the bottom layer first; each names the one below relative to itself. */
export async function makeChain(folder: string, ...recipes: readonly LayerRecipe[]): Promise<CaseChain> {
  const layers: { path: string; format: string }[] = []
  for (const [place, { name = `layer${place}`, format = 'qcow2', size, options, io = [] }] of recipes.entries()) {
    const path = join(folder, name)
    const below = layers[0]
    const link = below === undefined ? [] : ['-b', below.path.slice(folder.length + 1), '-F', below.format]
    const extra = options === undefined ? [] : ['-o', options]
    await qemuImg('create', '-q', '-f', format, ...extra, ...link, path, String(size))
    layers.unshift({ path, format })
    if (io.length > 0) await qemuIo(path, format, ...io)
  }
  return { folder, layers, top: layers[0]?.path ?? '' }
}

/** A chain of qcow2 files that are there already, the active layer first. */
export function chainOf(folder: string, ...names: readonly string[]): CaseChain {
  const layers = names.map((name) => ({ path: join(folder, name), format: 'qcow2' }))
  return { folder, layers, top: layers[0]?.path ?? '' }
}

/** Pulls the chain and wants every promise kept; `base` is the index of the layer that stays, counted from the top. */
export async function pullWell(chain: CaseChain, base: number | null = null, options: PullImageOptions = {}) {
  const judge = await Judge.watch(chain)
  const completion = await pulled(chain.top, base === null ? options : { ...options, base: pathAt(chain, base) })
  expect(await judge.complaints(base)).toEqual([])
  return completion
}

/** A pull that completes, in this process. */
export async function pulled(path: string, options: PullImageOptions = {}): Promise<Completion> {
  const job = await pullImage(path, options)
  return await job.done
}

export function pathAt(chain: CaseChain, layer: number): string {
  const found = chain.layers[layer]
  if (found === undefined) throw new RangeError(`layer ${layer} of a chain of ${chain.layers.length}`)
  return found.path
}
