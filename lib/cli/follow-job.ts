// SPDX-License-Identifier: Apache-2.0
//
// Tracks a job to its end: the progress line or JSON lines, Ctrl-C, and the timeout.
//
// The first interrupt (or the timeout) aborts the job. It then ends at a consistent point, or stays in a QEMU that does
// not answer. The second interrupt exits immediately with 130; the image is crash-safe. In every case the terminal line
// is cleared, the listener removed and the timer stopped, so that the process can end on its own.

import type { BlockJob, Outcome, Progress, StopCode } from '../index.js'
import type { Context } from './context.js'
import { type Ending, endingOfError, endingOfJob } from './exit-codes.js'
import { longSilenceSeconds, stopWords } from './job-words.js'
import { progressLine, toJson, writeText } from './json.js'
import { type Amount, formatLimit } from './measures.js'
import { ProgressLine } from './render.js'
import { warn } from './report.js'
import { tell } from './shown.js'
import { onPresses } from './waiting.js'

export interface FollowStyle {
  /** What the progress line calls the job. */
  readonly label: string
  readonly json: boolean
  readonly quiet: boolean
  /** Whether a limit was given; the limit in force is then printed. */
  readonly isLimited: boolean
  /** The job is aborted after this time. */
  readonly timeoutSeconds: number | undefined
  /** The image that JSON lines name, where there are several. */
  readonly image?: string | undefined
}

/** Whether the output is words for a person, rather than JSON lines or nothing. */
export function isTold({ json, quiet }: Pick<FollowStyle, 'json' | 'quiet'>): boolean {
  return !json && !quiet
}

/** Starts a job, tracks it and gives how it ended; never throws. */
export async function followJob(
  context: Context,
  style: FollowStyle,
  start: (signal: AbortSignal) => Promise<BlockJob<bigint>>,
): Promise<Ending> {
  const controller = new AbortController()
  const line = isTold(style) ? new ProgressLine(context.err, context.environment, style.label) : null
  const isStopping = () => controller.signal.aborted
  const release = onPresses(context, isStopping, () => {
    controller.abort()
    line?.say('stopping at a consistent point; interrupt again to exit immediately')
  })
  let hasTimedOut = false
  const timer = style.timeoutSeconds === undefined ? undefined : setTimeout(expire, style.timeoutSeconds * 1000)
  function expire() {
    hasTimedOut = true
    controller.abort()
  }
  function told(ending: Ending): Ending {
    const isOver = hasTimedOut && (ending.state === 'cancelled' || ending.code === 'MONITOR_TIMEOUT')
    return isOver ? { ...ending, message: `timeout of ${style.timeoutSeconds} s expired: ${ending.message}` } : ending
  }
  try {
    const job = await start(controller.signal)
    tellLimit(context, style, job)
    return told(endingOfJob(await watch(context, style, job, line)))
  } catch (error) {
    return told(endingOfError(error))
  } finally {
    clearTimeout(timer)
    release()
    line?.clear()
  }
}

/** Prints the limit in force, if one was given. */
export function tellLimit(
  context: Context,
  style: Pick<FollowStyle, 'json' | 'quiet' | 'isLimited'>,
  job: BlockJob<bigint>,
): void {
  if (!style.isLimited || !isTold(style)) return
  tell(context.err, `limit: ${formatLimit(job.progress.bandwidth)}`)
}

/** Printed with or without a terminal, since the job waits until somebody acts. */
function tellStop(context: Context, line: ProgressLine, code: StopCode | null): void {
  line.clear()
  const sentence =
    code === null
      ? 'the pull continues'
      : `the pull waits: ${stopWords(code)}; 'blockpull job ... --resume' by another monitor resumes it, Ctrl-C cancels`
  tell(context.err, sentence)
}

/** Reports each silence of QEMU once, and its end once. */
class Silence {
  readonly #context: Context
  #isTold = false

  constructor(context: Context) {
    this.#context = context
  }

  tell({ state, silentSeconds }: Progress<Amount>, line: ProgressLine): void {
    const isSilent = silentSeconds >= longSilenceSeconds
    if (isSilent === this.#isTold || (state !== 'running' && state !== 'aborting')) return
    this.#isTold = isSilent
    line.clear()
    const why = 'it is stopped, hangs, or waits for its storage; Ctrl-C stops waiting'
    const sentence = isSilent ? `QEMU has not answered for ${silentSeconds} s; ${why}` : 'QEMU answers again'
    tell(this.#context.err, sentence)
  }
}

async function watch(
  context: Context,
  style: FollowStyle,
  job: BlockJob<bigint>,
  line: ProgressLine | null,
): Promise<Outcome<bigint>> {
  let told = ''
  let stoppedOn: StopCode | null = null
  const silence = new Silence(context)
  for await (const progress of job) {
    if (line !== null) silence.tell(progress, line)
    if (line !== null && progress.state === 'running' && progress.stoppedOn !== stoppedOn) {
      stoppedOn = progress.stoppedOn
      tellStop(context, line, stoppedOn)
    }
    const json = style.json && !style.quiet ? toJson(progressLine(progress, style.image)) : ''
    if (json !== told) writeText(context.out, json)
    told = json
    line?.draw(progress)
  }
  line?.clear()
  const outcome = await job.done.catch((error: unknown) => {
    if (job.outcome === null) throw error
    return job.outcome
  })
  for (const sentence of outcome.warnings) warn(context, sentence)
  return outcome
}
