// SPDX-License-Identifier: Apache-2.0
//
// `blockpull pull --connect` and `--qmp`: one disk of a domain, running or shut off.
//
// The user sees the same whoever does the work. `--no-wait` is for running domains only, because only QEMU can continue
// alone. The job then waits in QEMU, with its backing file, for `blockpull reap`, and the output says so.

import type { BlockJob, BlockPullOptions } from '../../index.js'
import {
  type Arguments,
  discardUsage,
  readBackingFormats,
  readBandwidth,
  readBase,
  readOnError,
  readTrailingData,
  UsageError,
} from '../args.js'
import { toPath } from '../command-line.js'
import type { Context } from '../context.js'
import { done, type Ending, endingOfError, endingOfJob } from '../exit-codes.js'
import { type FoundDisk, withDisk } from '../find-disk.js'
import { followJob, isTold, tellLimit } from '../follow-job.js'
import { report } from '../report.js'
import { shorten, tell } from '../shown.js'
import { interruptSignal, untilStopped } from '../waiting.js'
import { planned } from './pull-plan.js'
import { type PullStyle, resultLines } from './pull-result.js'

export async function pullDisk(args: Arguments, context: Context, style: PullStyle): Promise<number> {
  const form = args.has('qmp')
    ? '--qmp: QEMU already knows the formats'
    : "--connect: the domain's XML states the formats"
  for (const option of args.has('qmp') ? ['format', 'backing-format'] : ['format']) {
    if (args.has(option)) throw new UsageError(`--${option} cannot be combined with ${form}`)
  }
  if (args.has('no-wait') && style.timeoutSeconds !== undefined) {
    throw new UsageError('--timeout cannot be combined with --no-wait: no process is left to cancel the job')
  }
  const trailingData = readTrailingData(args)
  if (trailingData === 'discard') throw new UsageError(discardUsage)
  const limit = { base: readBase(args), bandwidth: readBandwidth(args), trailingData }
  const formats = readBackingFormats(args)
  const options = { ...limit, ...formats, siblings: args.list('siblings')?.map(toPath), bigint: true as const }
  const start = { ...options, onError: readOnError(args) }
  const access = { backingPaths: args.list('allow-backing')?.map(toPath), readOnly: args.has('dry-run') }
  return await withDisk(args, context, access, async (found) => {
    const { connection, domain, disk, label } = found
    let ending: Ending
    if (args.has('dry-run')) {
      const readData = args.has('read-data')
      ending = await planned(context, { ...style, label }, (onProgress) => {
        const ask = (signal: AbortSignal) => domain.plan(disk, { ...options, readData, signal, onProgress })
        return untilStopped(context, connection, (wait) => ask(wait.signal), style)
      })
    } else if (args.has('no-wait')) {
      ending = await startOnly(context, found, start, (job) => tellLimit(context, style, job))
    } else {
      const follow = { ...style, label: shorten(label) }
      ending = await followJob(context, follow, (signal) => domain.blockPull(disk, { ...start, signal }))
    }
    if (isTold(style) && ending.state === 'started') tell(context.out, ...startedLines(label))
    if (isTold(style) && ending.state === 'completed') tell(context.out, ...resultLines(label, ending))
    return report(context, ending, { json: style.json })
  })
}

/** Has QEMU start the job, then lets go of it. An interrupt before that cancels the job. */
async function startOnly(
  context: Context,
  { connection, domain, disk }: FoundDisk,
  options: BlockPullOptions & { readonly bigint: true },
  onStart: (job: BlockJob<bigint>) => void,
): Promise<Ending> {
  const { signal, release } = interruptSignal(context)
  try {
    const job = await domain.blockPull(disk, { ...options, detached: true, signal })
    release()
    onStart(job)
    await untilQemuHasIt(job)
    await Promise.all([connection.close(), job.done.catch(() => undefined)])
    const { outcome } = job
    if (outcome !== null && outcome.error?.code !== 'CLOSED') return endingOfJob(outcome)
    return { ...done, state: 'started', method: outcome?.method ?? 'none', durable: false }
  } catch (error) {
    return endingOfError(error)
  } finally {
    release()
  }
}

/**
 * Waits until it is known that QEMU has the job. Where there is nothing to pull, QEMU has none and a later `reap` would
 * find none, so this waits for the end. The method is 'none' until the job's first moment on the engine's thread.
 */
async function untilQemuHasIt(job: BlockJob<bigint>): Promise<void> {
  for await (const { method } of job) if (method !== 'none') return
}

function startedLines(label: string): string[] {
  return [
    `${label}: pull started; QEMU continues on its own`,
    "  it is finished once 'blockpull reap' has waited for its end; until then the disk",
    '  keeps its backing files, even if the guest shuts off',
  ]
}
