// SPDX-License-Identifier: Apache-2.0
//
// `blockpull digest`: SHA-256 of what a guest would read from an image, to compare before and after a pull.
//
// The output looks like sha256sum's. The command takes no lock, so it warns if somebody has the image open for writing:
// the image may change while it is read. Two images with the same digest are the same disk to a guest, whatever their
// formats, clusters and chains.

import { imageOptions, readImageOptions } from '../args.js'
import { toPath } from '../command-line.js'
import type { Command } from '../context.js'
import { done } from '../exit-codes.js'
import { writeJson } from '../json.js'
import { report, warn } from '../report.js'
import { tell } from '../shown.js'

export const digest: Command = {
  name: 'digest',
  summary: 'Print the SHA-256 of what a guest would read.',
  usage: ['digest IMAGE [OPTION]...'],
  options: imageOptions,
  operands: 'files',
  notes: [],
  run: async (args, context) => {
    const [path = ''] = args.exactly('IMAGE')
    const json = args.has('json')
    const options = { ...readImageOptions(args), bigint: true as const }
    const [active] = await context.api.inspectChain(toPath(path), options)
    const { sha256, bytes } = await context.api.digestImage(toPath(path), options)
    if (active?.inUseBy)
      warn(context, `'${path}' is in use by ${active.inUseBy}; the image may have changed while it was read`)
    if (json) writeJson(context.out, { event: 'digest', path, sha256, bytes })
    else tell(context.out, `${sha256}  ${path}`)
    return report(context, done, { json })
  },
}
