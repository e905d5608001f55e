// SPDX-License-Identifier: Apache-2.0
//
// `blockpull digest`: SHA-256 of what a guest would read from an image, to compare before and after a pull.
//
// Printed as sha256sum prints it, with a warning when somebody was writing to the image: no lock is taken, and the
// digest is then of no single moment. Two images with the same digest are the same disk to a guest, whatever their
// format, clusters and chains are.

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
  notes: [],
  run: async (args, context) => {
    const [path = ''] = args.exactly('IMAGE')
    const json = args.has('json')
    const options = { ...readImageOptions(args), bigint: true as const }
    const [active] = await context.api.inspectChain(toPath(path), options)
    const { sha256, bytes } = await context.api.digestImage(toPath(path), options)
    if (active?.inUseBy)
      warn(context, `'${path}' is in use by ${active.inUseBy}; its digest may be of no single moment`)
    if (json) writeJson(context.out, { event: 'digest', path, sha256, bytes })
    else tell(context.out, `${sha256}  ${path}`)
    return report(context, done, { json })
  },
}
