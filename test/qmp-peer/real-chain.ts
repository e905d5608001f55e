// SPDX-License-Identifier: Apache-2.0
//
// Three real images for a peer over real files, each with something that the one above it lacks.

import { flatten, qemuImg, qemuIo } from '../support/qemu/qemu.js'
import type { NodeDescription } from './types.js'

export const virtualSize = 2 ** 20
export const layerNames = ['top', 'mid', 'base'] as const

export type LayerName = (typeof layerNames)[number]

export interface RealChain {
  readonly folder: string
  readonly path: (name: LayerName) => string
  /** What a guest reads from the top, as it was made. */
  readonly flat: string
  /** Top first, named as the images are. */
  readonly nodes: readonly NodeDescription[]
}

export async function makeRealChain(folder: string): Promise<RealChain> {
  const path = (name: LayerName): string => `${folder}/${name}.qcow2`
  await qemuImg('create', '-q', '-f', 'qcow2', path('base'), String(virtualSize))
  await qemuIo(path('base'), 'qcow2', 'write -P 1 0 512k', 'write -z 512k 64k')
  for (const [name, backing] of [
    ['mid', 'base'],
    ['top', 'mid'],
  ] as const) {
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', `${backing}.qcow2`, '-F', 'qcow2', path(name))
    await qemuIo(path(name), 'qcow2', name === 'mid' ? 'write -P 2 128k 128k' : 'write -P 3 256k 64k')
  }
  const flat = `${folder}/flat.raw`
  await flatten(path('top'), flat)
  const nodes = layerNames.map((nodeName, index) => {
    const next = layerNames[index + 1]
    const stated = next === undefined ? {} : { backingFilename: `${next}.qcow2` }
    return { nodeName, filename: path(nodeName), virtualSize, ...stated }
  })
  return { folder, path, flat, nodes }
}
