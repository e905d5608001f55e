// SPDX-License-Identifier: Apache-2.0
//
// `blockpull create`: an empty qcow2 image, or an overlay, without QEMU.
//
// An overlay without a size takes that of its backing file. The backing file's format must be stated: it goes into the
// header, so that no later reader has to guess.

import { imageFormats, UsageError } from '../args.js'
import { toPath } from '../command-line.js'
import type { Command } from '../context.js'
import { done } from '../exit-codes.js'
import { writeJson } from '../json.js'
import { report } from '../report.js'
import { tell } from '../shown.js'

export const create: Command = {
  name: 'create',
  summary: 'Make a qcow2 image, usually an overlay.',
  usage: ['create IMAGE SIZE [--cluster-size N]', 'create IMAGE [SIZE] --backing FILE --backing-format F'],
  options: {
    backing: { value: 'FILE', help: 'backing file, relative to the folder of IMAGE' },
    'backing-format': { value: 'F', choices: imageFormats, help: 'format of FILE, qcow2 or raw' },
    'cluster-size': { value: 'N', help: 'bytes in a cluster, 512 to 2M; 64K unless given' },
  },
  operands: 'files',
  notes: ['SIZE is in bytes, or as 512M, 10G; default: the size of the backing file.'],
  run: async (args, context) => {
    const [image, size] = args.positionals.length === 1 ? args.positionals : args.exactly('IMAGE', 'SIZE')
    const json = args.has('json')
    const backingFile = args.text('backing')
    const backingFormat = args.text('backing-format')
    if (backingFile !== undefined && backingFormat === undefined) {
      throw new UsageError('--backing-format is missing; expected it beside --backing, as formats are never guessed')
    }
    if (backingFile === undefined && backingFormat !== undefined) {
      throw new UsageError('--backing-format has nothing to apply to; expected --backing FILE beside it')
    }
    if (backingFile === undefined && size === undefined) throw new UsageError('SIZE is missing; expected IMAGE SIZE')
    const backing = backingFile === undefined ? undefined : toPath(backingFile)
    const options = { size, backingFile: backing, backingFormat, clusterSize: args.text('cluster-size') }
    await context.api.createImage(toPath(image ?? ''), options)
    const over = backingFile === undefined ? '' : `, over '${backingFile}' (${backingFormat})`
    if (json) writeJson(context.out, { event: 'created', path: image })
    else tell(context.out, `${image}: created, ${sizeText(size)}${over}`)
    return report(context, done, { json })
  },
}

function sizeText(size: string | undefined): string {
  if (size === undefined) return 'as large as its backing file'
  return /^\d+$/.test(size) ? `${size} bytes` : size
}
