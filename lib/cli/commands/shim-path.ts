// SPDX-License-Identifier: Apache-2.0
//
// `blockpull shim-path`: the folder with `libvirt.so.0`, and nothing else on stdout, for
// `LD_LIBRARY_PATH=$(blockpull shim-path)`.

import type { Command } from '../context.js'
import { done } from '../exit-codes.js'
import { writeJson } from '../json.js'
import { report } from '../report.js'
import { tell } from '../shown.js'

export const shimPath: Command = {
  name: 'shim-path',
  summary: 'Print the folder of libvirt.so.0, for LD_LIBRARY_PATH.',
  usage: ['shim-path [--json]'],
  options: {},
  notes: [
    'LD_LIBRARY_PATH=$(blockpull shim-path) PROGRAM runs a program that was made for',
    'libvirt on libvirt.so.0 of this package.',
  ],
  run: async (args, context) => {
    args.exactly()
    const json = args.has('json')
    const path = context.api.shimPath()
    if (json) writeJson(context.out, { event: 'shimPath', path })
    else tell(context.out, path)
    return report(context, done, { json })
  },
}
