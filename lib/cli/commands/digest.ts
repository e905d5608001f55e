// SPDX-License-Identifier: Apache-2.0
//
// `blockpull digest`: SHA-256 of what a guest would read from an image, to compare before and after a pull.
//
// Printed as sha256sum prints it. Two images with the same digest are the same disk to a guest, whatever their
// format, clusters and chains are.

import { imageOptions, readImageOptions } from '../args.js'
import type { Command } from '../context.js'
import { done } from '../exit-codes.js'
import { writeJson } from '../json.js'
import { report } from '../report.js'

export const digest: Command = {
  name: 'digest',
  summary: 'Print the SHA-256 of what a guest would read.',
  usage: ['digest IMAGE [OPTION]...'],
  options: imageOptions,
  notes: [],
  run: async (args, context) => {
    const [path = ''] = args.exactly('IMAGE')
    const json = args.has('json')
    const { sha256, bytes } = await context.api.digestImage(path, readImageOptions(args))
    if (json) writeJson(context.out, { event: 'digest', path, sha256, bytes })
    else context.out.write(`${sha256}  ${path}\n`)
    return report(context, done, { json })
  },
}
