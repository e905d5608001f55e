// SPDX-License-Identifier: Apache-2.0
//
// `blockpull compare`: whether two guests would read the same.
//
// The exit codes are those of `qemu-img compare`, and so is the meaning of different sizes: the disks are equal if the
// rest of the longer one is zeros.

import type { Comparison } from '../../index.js'
import { imageFormats, imageOptions, readImageOptions } from '../args.js'
import { toPath } from '../command-line.js'
import type { Command } from '../context.js'
import { done, ExitCode } from '../exit-codes.js'
import { endLine, writeJson } from '../json.js'
import { formatBytes } from '../measures.js'
import { tell } from '../shown.js'
import { withSignal } from '../waiting.js'

/** As `qemu-img compare` has them. */
const CompareCode = { EQUAL: 0, DIFFER: 1, NOT_COMPLETED: 2 } as const

export const compare: Command = {
  name: 'compare',
  summary: 'Compare what guests would read from two images.',
  usage: ['compare A B [OPTION]...'],
  options: {
    ...imageOptions,
    format: { value: 'F', choices: imageFormats, help: 'format of A; default: by its magic, never raw' },
    'other-format': { value: 'F', choices: imageFormats, help: 'format of B; default: by its magic, never raw' },
  },
  operands: 'files',
  notes: ['Disks of different sizes are equal if the rest of the longer one is zeros.'],
  exitMeanings: [
    [CompareCode.EQUAL, 'equal'],
    [CompareCode.DIFFER, 'different'],
    [CompareCode.NOT_COMPLETED, 'not completed'],
    [ExitCode.INTERRUPTED_TWICE, 'exited on a second Ctrl-C'],
  ],
  failureCode: () => CompareCode.NOT_COMPLETED,
  run: async (args, context) => {
    const [a = '', b = ''] = args.exactly('A', 'B')
    const chain = readImageOptions(args)
    const images = { a: chain, b: { ...chain, format: args.text('other-format') } }
    const found = await withSignal(context, (signal) =>
      context.api.compareImages(toPath(a), toPath(b), { ...images, signal, bigint: true }),
    )
    const exitCode = found.firstDifference === null ? CompareCode.EQUAL : CompareCode.DIFFER
    if (args.has('json')) {
      writeJson(context.out, { event: 'compare', a, b, ...found })
      const differs = { code: 'DIFFERENT', message: sentence(found) }
      writeJson(context.out, endLine({ ...done, exitCode, ...(exitCode === CompareCode.DIFFER && differs) }))
    } else {
      tell(context.out, sentence(found))
    }
    return exitCode
  },
}

function sentence({ firstDifference, sizes }: Comparison<bigint>): string {
  if (firstDifference !== null) return `the disks differ, first in byte ${firstDifference}`
  const [a, b] = sizes
  if (a === b) return 'the disks are equal'
  const [longer, shorter] = a > b ? ['first', b] : ['second', a]
  return `the disks are equal up to ${formatBytes(shorter)}; the rest of the ${longer} one is zeros`
}
