// SPDX-License-Identifier: Apache-2.0
//
// `blockpull job`: shows, slows down, resumes or ends the job of a disk, as `virsh blockjob` does.
//
// Any process may ask about the job in a guest's QEMU. A job of blockpull's own engine is in the process that started
// it; the command then names that process (exit code 4). To show a job, the connection opens read-only, so that it
// adopts none. "No job" is an answer to a question and a failure of a change, as in virsh.

import { type BlockJobInfo, BlockPullError } from '../../index.js'
import { type Arguments, readBandwidth, UsageError } from '../args.js'
import type { Command, Context } from '../context.js'
import { pullerOf } from '../disk-state.js'
import { CommandFailure, done } from '../exit-codes.js'
import { connectionOptions, type FoundDisk, withDisk } from '../find-disk.js'
import { jobSentence, rawJob } from '../job-words.js'
import { writeJson } from '../json.js'
import { formatLimit } from '../measures.js'
import { report } from '../report.js'
import { tell } from '../shown.js'
import { untilStopped } from '../waiting.js'

export const job: Command = {
  name: 'job',
  summary: 'Show, change or end the job of a disk.',
  usage: [
    'job [--connect URI] DOMAIN DISK [--info | --raw] [--bytes]',
    'job [--connect URI] DOMAIN DISK --abort [--async]',
    'job [--connect URI] DOMAIN DISK --bandwidth N [--bytes]',
    'job [--connect URI] DOMAIN DISK --resume',
    'job --qmp SOCKET DEVICE ...',
  ],
  options: {
    ...connectionOptions,
    info: { help: 'show the job; this is the default' },
    raw: { help: "show it as 'virsh blockjob --raw' does, limit in MiB/s" },
    abort: { help: 'end the job and wait for its end; what was copied is kept' },
    async: { help: 'with --abort: do not wait' },
    bandwidth: { value: 'N', help: 'limit: N MiB/s, or 500K, 50M, 1G bytes a second; 0: none' },
    resume: { help: 'resume a job that stopped on an error' },
    bytes: { help: 'a bare N, and the limit of --raw, is bytes a second' },
  },
  operands: 'files',
  notes: ['Exit code 4: the job belongs to another program, or the monitor is in use.'],
  run: async (args, context) => {
    checkOptions(args)
    const hasStopped = args.has('resume') ? await isStopped(args, context) : false
    const isChange = args.has('abort') || args.has('bandwidth') || args.has('resume')
    const hint = isChange ? '; it may still carry out the request' : ''
    return await withDisk(args, context, { readOnly: !isChange }, async (found) => {
      try {
        await untilStopped(context, found.connection, () => serve(args, context, found, hasStopped), { hint })
      } catch (error) {
        if (BlockPullError.is(error) && error.code === 'NO_JOB') await refuseIfPulled(context, found)
        throw error
      }
      return report(context, { ...done, state: 'done' }, { json: args.has('json') })
    })
  },
}

async function serve(args: Arguments, context: Context, found: FoundDisk, hasStopped: boolean): Promise<void> {
  if (args.has('abort')) await abort(args, context, found)
  else if (args.has('bandwidth')) await setLimit(args, context, found)
  else if (args.has('resume')) await resume(args, context, found, hasStopped)
  else await show(args, context, found)
}

/** virsh's rules: options that show exclude options that change. */
function checkOptions(args: Arguments): void {
  for (const [one, other] of [
    ['raw', 'abort'],
    ['raw', 'bandwidth'],
    ['raw', 'json'],
    ['info', 'abort'],
    ['info', 'bandwidth'],
    ['info', 'raw'],
    ['abort', 'bandwidth'],
    ['resume', 'abort'],
    ['resume', 'bandwidth'],
    ['resume', 'bytes'],
    ['resume', 'info'],
    ['resume', 'raw'],
    ['abort', 'bytes'],
  ] as const) {
    if (args.has(one) && args.has(other)) throw new UsageError(`--${one} and --${other} are mutually exclusive`)
  }
  if (args.has('async') && !args.has('abort')) throw new UsageError('--async has nothing to apply to without --abort')
  if (args.has('bytes') && !args.has('bandwidth') && !args.has('raw')) {
    throw new UsageError('--bytes has nothing to apply to; expected --bandwidth N or --raw beside it')
  }
}

async function show(args: Arguments, context: Context, found: FoundDisk): Promise<void> {
  const { domain, disk, label } = found
  const info = await domain.blockJobInfo(disk, { bigint: true })
  if (info === null) await refuseIfPulled(context, found)
  if (args.has('json')) writeJson(context.out, { event: 'job', domain: domain.name, disk, job: info })
  else tell(context.out, ...linesOf(args, info, disk, label))
}

function linesOf(args: Arguments, info: BlockJobInfo<bigint> | null, disk: string, label: string): string[] {
  if (args.has('raw')) return info === null ? [] : rawJob(info, args.has('bytes'))
  return [info === null ? `no current block job for ${disk}` : `${label}: ${jobSentence(info)}`]
}

async function abort(args: Arguments, context: Context, { domain, disk, label }: FoundDisk): Promise<void> {
  const isAsync = args.has('async')
  await domain.blockJobAbort(disk, { async: isAsync })
  if (!args.has('json')) tell(context.out, `${label}: ${isAsync ? 'job was asked to end' : 'job has ended'}`)
}

async function setLimit(args: Arguments, context: Context, { domain, disk, label }: FoundDisk): Promise<void> {
  await domain.blockJobSetSpeed(disk, readBandwidth(args) ?? '')
  // The limit in force, not the one that was typed.
  const info = await domain.blockJobInfo(disk, { bigint: true })
  const limit = info === null ? 'none, as the job has ended' : formatLimit(info.bandwidth)
  if (!args.has('json')) tell(context.out, `${label}: limit: ${limit}`)
}

/**
 * Whether the job has stopped on an error. A connection that writes adopts the job and does not know that at once, so
 * this asks QEMU through one that only reads.
 */
async function isStopped(args: Arguments, context: Context): Promise<boolean> {
  return await withDisk(args, context, { readOnly: true }, async ({ connection, domain, disk }) => {
    const info = await untilStopped(context, connection, () => domain.blockJobInfo(disk))
    return info !== null && info.stoppedOn !== null
  })
}

async function resume(args: Arguments, context: Context, found: FoundDisk, hasStopped: boolean): Promise<void> {
  const { domain, disk, label } = found
  await domain.blockJobResume(disk)
  if (!args.has('json')) tell(context.out, `${label}: ${hasStopped ? 'job continues' : 'job had not stopped'}`)
}

/** Another process's job is not "no job". */
async function refuseIfPulled(context: Context, { domain, disk, label }: FoundDisk): Promise<void> {
  const puller = await pullerOf(context, domain, disk)
  if (puller === null) return
  throw new CommandFailure(
    'LOCKED',
    `${label} is being pulled by ${puller}, the only process that can show or change the job`,
  )
}
