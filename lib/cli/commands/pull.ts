// SPDX-License-Identifier: Apache-2.0
//
// `blockpull pull`: fills image files, or one disk of a domain, from their backing chains.
//
// Several images are pulled one after the other. A failure does not stop the rest; an interrupt does. The exit code is
// the first that is not 0. With `--connect` or `--qmp` the command pulls a domain's disk; pull-disk.ts does that.
// `--no-wait` is refused for an image: our own job ends with the process that started it, so leaving would cancel it.

import { basename } from 'node:path'
import {
  type Arguments,
  discardUsage,
  imageOptions,
  longestTimeoutSeconds,
  onErrorChoices,
  readBandwidth,
  readBase,
  readImageOptions,
  readNumber,
  readOnError,
  readTrailingData,
  siblingHint,
  siblingOption,
  trailingChoices,
  UsageError,
} from '../args.js'
import { toPath } from '../command-line.js'
import type { Command, Context } from '../context.js'
import { done, type Ending, ExitCode } from '../exit-codes.js'
import { connectionOptions } from '../find-disk.js'
import { followJob, isTold } from '../follow-job.js'
import { report } from '../report.js'
import { shorten, tell } from '../shown.js'
import { untilStopped } from '../waiting.js'
import { pullDisk } from './pull-disk.js'
import { planned } from './pull-plan.js'
import { type PullStyle, resultLines } from './pull-result.js'

export const pull: Command = {
  name: 'pull',
  summary: 'Fill an image, or a disk of a domain, from its backing chain.',
  usage: [
    'pull IMAGE... [OPTION]...',
    'pull --connect URI DOMAIN DISK [OPTION]...',
    'pull --qmp SOCKET DEVICE [OPTION]...',
  ],
  options: {
    base: { value: 'FILE', help: 'keep FILE as backing file, pull only what is above it' },
    bandwidth: { value: 'N', help: 'limit: N MiB/s, or 500K, 50M, 1G bytes a second' },
    bytes: { help: 'a bare N of --bandwidth is bytes a second' },
    'dry-run': { help: 'only print what would be done' },
    'read-data': { help: 'with --dry-run: read it all, report what is damaged' },
    'trailing-data': {
      value: 'HOW',
      choices: trailingChoices,
      help: 'keep, discard: what another program put behind IMAGE',
    },
    timeout: { value: 'S', help: 'cancel after S seconds' },
    ...siblingOption,
    ...imageOptions,
    ...connectionOptions,
    connect: { value: 'URI', short: 'c', help: "the connection; '' takes BLOCKPULL_URI" },
    'on-error': {
      value: 'HOW',
      choices: onErrorChoices,
      help: 'report; running only: stop, enospc (job --resume)',
    },
    'no-wait': { help: 'only start it; QEMU continues (running domains only)' },
    quiet: { short: 'q', help: 'print failures only' },
  },
  operands: 'files',
  notes: [
    'A running domain is pulled by its QEMU, a shut-off one and an image by blockpull',
    'itself. DISK is a target such as vda, or the path of its active layer; DEVICE is',
    "that path, the name of a device or node, or the id of the guest's device.",
    '',
    'A file is reported as no longer needed if no disk of a domain of the connection',
    'needs it, and no image in the folders of --siblings.',
    '',
    'Ctrl-C cancels at a consistent point: what was copied is kept, and another pull',
    'continues from there. A second Ctrl-C exits immediately. SIGTERM and a closed',
    'terminal cancel it too, even under nohup; setsid detaches it from the terminal.',
  ],
  run: async (args, context) => {
    const style = {
      json: args.has('json'),
      quiet: args.has('quiet'),
      isLimited: args.has('bandwidth'),
      timeoutSeconds: readNumber(args, 'timeout', longestTimeoutSeconds),
    }
    if (args.has('read-data') && !args.has('dry-run')) {
      throw new UsageError('--read-data has nothing to apply to; expected --dry-run beside it: a pull reads anyway')
    }
    if (args.has('connect') || args.has('qmp')) return await pullDisk(args, context, style)
    if (args.has('no-wait')) return report(context, noWaitEnding, style)
    return await pullImages(args, context, style)
  },
}

const noWaitEnding: Ending = {
  ...done,
  exitCode: ExitCode.FAILED,
  state: 'failed',
  code: 'UNSUPPORTED',
  message:
    '--no-wait is not supported for an image file, since the job would end with this process; ' +
    'leave --no-wait out, or run this command in the background',
}

async function pullImages(args: Arguments, context: Context, style: PullStyle): Promise<number> {
  const images = args.positionals
  if (images.length === 0) throw new UsageError('IMAGE is missing; expected IMAGE..., or --connect URI DOMAIN DISK')
  const siblings = args.list('siblings')?.map(toPath)
  const hint = siblings === undefined ? siblingHint : undefined
  const trailingData = readTrailingData(args)
  if (trailingData === 'discard' && images.length > 1) throw new UsageError(discardUsage)
  const limit = { base: readBase(args), bandwidth: readBandwidth(args), siblings, trailingData }
  const options = { ...limit, ...readImageOptions(args), bigint: true as const }
  const onError = readOnError(args)
  let exitCode: number = ExitCode.DONE
  for (const path of images) {
    const image = images.length > 1 ? path : undefined
    let ending: Ending
    if (args.has('dry-run')) {
      const readData = args.has('read-data')
      ending = await planned(context, { ...style, label: path, image, hint }, (onProgress) => {
        const ask = (signal: AbortSignal) =>
          context.api.plan(toPath(path), { ...options, readData, signal, onProgress })
        return untilStopped(context, null, (wait) => ask(wait.signal), style)
      })
    } else {
      const follow = { ...style, label: shorten(basename(path)), image }
      ending = await followJob(context, follow, (signal) =>
        context.api.pullImage(toPath(path), { ...options, onError, signal }),
      )
      if (ending.state === 'completed' && isTold(style)) tell(context.out, ...resultLines(path, ending, hint))
    }
    const code = report(context, ending, { json: style.json, image })
    if (exitCode === ExitCode.DONE) exitCode = code
    if (ending.state === 'cancelled') return ExitCode.CANCELLED
  }
  return exitCode
}
