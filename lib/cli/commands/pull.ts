// SPDX-License-Identifier: Apache-2.0
//
// `blockpull pull`: fills image files, or one disk of a domain, from their backing chains.
//
// Several images are pulled one after the other; one that fails does not stop the others, an interrupt does. The
// exit code is then the first that is not 0. `--connect` is what makes it the domain form. `--no-wait` is refused:
// a job ends with the process that started it, so that leaving would cancel it.

import { basename } from 'node:path'
import type { Plan } from '../../index.js'
import { type Arguments, imageOptions, readBandwidth, readImageOptions, readNumber, UsageError } from '../args.js'
import type { Command, Context } from '../context.js'
import { done, type Ending, ExitCode, endingOfError } from '../exit-codes.js'
import { type FollowStyle, followJob } from '../follow-job.js'
import { formatBytes, formatRate, formatSeconds } from '../measures.js'
import { report } from '../report.js'
import { planEnding, writePlan } from './pull-plan.js'

const longestTimeoutSeconds = 2147483

export const pull: Command = {
  name: 'pull',
  summary: 'Fill an image, or a disk of a domain, from its backing chain.',
  usage: ['pull IMAGE... [OPTION]...', 'pull --connect URI DOMAIN DISK [OPTION]...'],
  options: {
    base: { value: 'FILE', help: 'keep FILE as backing file, pull only what is above it' },
    bandwidth: { value: 'N', help: 'limit: N MiB/s, or 500K, 50M, 1G bytes a second' },
    bytes: { help: 'a bare N of --bandwidth is bytes a second' },
    'dry-run': { help: 'only tell what would be done' },
    timeout: { value: 'S', help: 'cancel after S seconds' },
    ...imageOptions,
    connect: { value: 'URI', short: 'c', help: "the connection; '' takes BLOCKPULL_URI" },
    'no-wait': { help: 'refused for now: a job ends with its process' },
    quiet: { short: 'q', help: 'print failures only' },
  },
  notes: [
    'Ctrl-C cancels at a consistent point: what was copied is kept, and another pull',
    'goes on from there. A second Ctrl-C leaves at once.',
  ],
  run: async (args, context) => {
    const style = {
      json: args.has('json'),
      quiet: args.has('quiet'),
      isLimited: args.has('bandwidth'),
      timeoutSeconds: readNumber(args, 'timeout', longestTimeoutSeconds),
    }
    if (args.has('no-wait')) return report(context, noWaitEnding, style)
    return args.has('connect') ? await pullDisk(args, context, style) : await pullImages(args, context, style)
  },
}

type Style = Omit<FollowStyle, 'label' | 'image'>

const noWaitEnding: Ending = {
  ...done,
  exitCode: ExitCode.FAILED,
  state: 'failed',
  code: 'UNSUPPORTED',
  message:
    '--no-wait is not supported for now, since a job ends with the process that started it; ' +
    'leave --no-wait out, or run this command in the background',
}

async function pullImages(args: Arguments, context: Context, style: Style): Promise<number> {
  const images = args.positionals
  if (images.length === 0) throw new UsageError('IMAGE is missing; expected IMAGE... or --connect URI DOMAIN DISK')
  const limit = { base: args.text('base'), bandwidth: readBandwidth(args) }
  const options = { ...limit, ...readImageOptions(args), bigint: true as const }
  let exitCode: number = ExitCode.DONE
  for (const path of images) {
    const image = images.length > 1 ? path : undefined
    let ending: Ending
    if (args.has('dry-run')) {
      ending = await planned(context, style, { label: path, image }, () => context.api.plan(path, options))
    } else {
      const follow = { ...style, label: shorten(basename(path)), image }
      ending = await followJob(context, follow, (signal) => context.api.pullImage(path, { ...options, signal }))
      if (ending.state === 'completed' && !style.json && !style.quiet) context.out.write(resultText(path, ending))
    }
    const code = report(context, ending, { json: style.json, image })
    if (exitCode === ExitCode.DONE) exitCode = code
    if (ending.state === 'cancelled') return ExitCode.CANCELLED
  }
  return exitCode
}

async function pullDisk(args: Arguments, context: Context, style: Style): Promise<number> {
  const [name = '', disk = ''] = args.exactly('DOMAIN', 'DISK')
  for (const option of ['format', 'backing-format']) {
    if (args.has(option)) throw new UsageError(`--${option} has no use with --connect: the domain's XML says formats`)
  }
  const options = { base: args.text('base'), bandwidth: readBandwidth(args), bigint: true as const }
  const access = { backingPaths: args.list('allow-backing'), readOnly: args.has('dry-run') }
  const connection = await context.api.connect(args.text('connect') ?? '', access)
  try {
    const domain = await connection.lookupByName(name)
    const label = `${name} ${disk}`
    if (args.has('dry-run')) {
      const ending = await planned(context, style, { label }, () => domain.plan(disk, options))
      return report(context, ending, { json: style.json })
    }
    const follow = { ...style, label: shorten(label) }
    const ending = await followJob(context, follow, (signal) => domain.blockPull(disk, { ...options, signal }))
    if (ending.state === 'completed' && !style.json && !style.quiet) context.out.write(resultText(label, ending))
    return report(context, ending, { json: style.json })
  } finally {
    await connection.close()
  }
}

async function planned(
  context: Context,
  style: Style,
  names: { readonly label: string; readonly image?: string | undefined },
  ask: () => Promise<Plan<bigint>>,
): Promise<Ending> {
  try {
    const plan = await ask()
    if (style.json || !style.quiet) writePlan(context.out, plan, { ...names, json: style.json })
    return planEnding(plan)
  } catch (error) {
    return endingOfError(error)
  }
}

function shorten(label: string): string {
  return label.length > 30 ? `${label.slice(0, 27)}...` : label
}

function resultText(label: string, { bytesMoved, seconds, method, released }: Ending): string {
  if (Number(bytesMoved) === 0 && released.length === 0) return `${label}: nothing to pull\n`
  const rate = seconds > 0 ? `${formatRate(Number(bytesMoved) / seconds)}, ` : ''
  const how = method === 'none' ? '' : ` (${rate}${method})`
  const lines = [`${label}: pulled, ${formatBytes(bytesMoved)} moved in ${formatSeconds(seconds)}${how}`]
  for (const path of released) lines.push(`  no longer needed: ${path}`)
  return `${lines.join('\n')}\n`
}
