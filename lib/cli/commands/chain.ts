// SPDX-License-Identifier: Apache-2.0
//
// `blockpull chain`: the layers of an image, the active one first, and how much of the disk each holds.
//
// SHARE is the part of the active image's virtual size that a guest reads from that layer. The command takes no lock.
// It marks a layer that somebody has open for writing, since its numbers may be changing.

import type { Layer } from '../../index.js'
import { imageOptions, readImageOptions } from '../args.js'
import { nameOf, toPath } from '../command-line.js'
import type { Command } from '../context.js'
import { done } from '../exit-codes.js'
import { writeJson } from '../json.js'
import { type Amount, formatBytes, formatShare, formatTable } from '../measures.js'
import { report } from '../report.js'

export const chain: Command = {
  name: 'chain',
  summary: 'Show the layers of an image: formats, sizes, and how much each holds.',
  usage: ['chain IMAGE [OPTION]...'],
  options: imageOptions,
  operands: 'files',
  notes: [],
  run: async (args, context) => {
    const [image = ''] = args.exactly('IMAGE')
    const json = args.has('json')
    const layers = await context.api.inspectChain(toPath(image), { ...readImageOptions(args), bigint: true })
    if (json) for (const layer of layers) writeJson(context.out, { event: 'layer', ...layer })
    else context.out.write(chainText(layers))
    return report(context, done, { json })
  },
}

export function chainText(layers: readonly Layer<Amount>[]): string {
  const whole = layers[0]?.virtualSize ?? 0
  const rows = layers.map((layer, depth) => [
    `${depth === 0 ? '' : '└ '}${nameOf(layer.path, layer.pathBytes)}`,
    layer.format,
    formatBytes(layer.virtualSize),
    formatBytes(layer.allocatedBytes),
    formatShare(layer.visibleBytes, whole),
    layer.inUseBy === null ? '' : `in use by ${layer.inUseBy}`,
  ])
  return formatTable([['IMAGE', 'FORMAT', 'VIRTUAL', 'ON DISK', 'SHARE', ''], ...rows], [2, 3, 4])
}
