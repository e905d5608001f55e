// SPDX-License-Identifier: Apache-2.0
//
// `blockpull reap`: finishes jobs that nobody waits for, durably, and reports how each ended.
//
// An orphaned pull of a running guest waits in QEMU until somebody finishes it. `reap` waits for a job that still runs,
// such as one started with --no-wait. All domains are served at once, and one that cannot be reached does not hold up
// the others. An interrupt leaves running jobs to QEMU, even to one that does not answer; the next reap finds them.

import type { Domain, Outcome, ReapedJob } from '../../index.js'
import type { Arguments } from '../args.js'
import type { Command, Context } from '../context.js'
import { type Ending, ExitCode, endingOfAll, endingOfError, endingOfJob, isFailure } from '../exit-codes.js'
import { connectionOptions, findDomains, labelOf, withConnection } from '../find-disk.js'
import { writeJson } from '../json.js'
import { report, warn } from '../report.js'
import { tell } from '../shown.js'
import { untilStopped, type Wait } from '../waiting.js'
import { doubtsOf, releasedLines } from './pull-result.js'

/** After this long a person wonders what the command waits for. */
const silenceMs = 1000

export const reap: Command = {
  name: 'reap',
  summary: 'Finish orphaned and detached jobs of running domains.',
  usage: ['reap [--connect URI] [DOMAIN] [--json]', 'reap --qmp SOCKET [--json]'],
  options: connectionOptions,
  notes: [
    'Finishes pulls whose process is gone or that were started with --no-wait, and',
    'makes them durable. Waits for those that still run. Jobs of other programs are',
    'left alone; Ctrl-C leaves the rest to QEMU.',
    'Exit code 1: a job failed; 4: the monitor of a domain is in use.',
  ],
  run: async (args, context) => {
    const json = args.has('json')
    const [name] = args.has('qmp') || args.positionals.length === 0 ? args.exactly() : args.exactly('DOMAIN')
    return await withConnection(args, context, {}, async (connection) => {
      const domains = await findDomains(args, connection, name)
      return await untilStopped(context, connection, async (wait) => {
        const endings = (await Promise.all(domains.map((domain) => reapDomain(args, context, wait, domain)))).flat()
        if (endings.length === 0 && !json) tell(context.out, 'nothing to reap')
        return report(context, summary(endings, json), { json })
      })
    })
  },
}

async function reapDomain(args: Arguments, context: Context, wait: Wait, domain: Domain): Promise<Ending[]> {
  const json = args.has('json')
  const timer = setTimeout(() => {
    if (!json) tell(context.err, `waiting for '${domain.name}'; Ctrl-C leaves its jobs to QEMU`)
  }, silenceMs)
  try {
    const endings: Ending[] = []
    for (const job of await domain.reap()) {
      endings.push(endingOf(job))
      if (json) writeJson(context.out, lineOf(domain, job))
      else tellOutcome(context, labelOf(args, domain.name, job.target), job.outcome)
    }
    return endings
  } catch (thrown) {
    const error = wait.explain(thrown)
    if (!isFailure(error)) throw error
    const ending = endingOfError(error)
    const { code, message, hint } = ending
    if (json) writeJson(context.out, { event: 'unreached', domain: domain.name, code, message, hint })
    else warn(context, `domain '${domain.name}' cannot be ${domain.error === null ? 'reached' : 'served'}: ${message}`)
    return [ending]
  } finally {
    clearTimeout(timer)
  }
}

function tellOutcome(context: Context, label: string, outcome: Outcome): void {
  const facts = outcome.state === 'completed' ? [...doubtsOf(outcome), ...releasedLines(label, outcome)] : []
  tell(context.out, `${label}: ${sentenceOf(outcome)}`, ...facts.map((fact) => `  ${fact}`))
  for (const sentence of outcome.warnings) warn(context, sentence)
}

/** People have read about each job by now, so the summary does not repeat it. */
function summary(endings: readonly Ending[], json: boolean): Ending {
  const ending = endingOfAll(endings)
  const bad = endings.filter(({ exitCode }) => exitCode === ExitCode.FAILED || exitCode === ExitCode.BUSY).length
  if (bad === 0 || (json && endings.length === 1)) return ending
  return { ...ending, message: `${bad} of ${endings.length} could not be finished` }
}

/** A job that an interrupt leaves to QEMU is not a failure. */
function endingOf({ outcome, target }: ReapedJob): Ending {
  const ending = endingOfJob(outcome)
  // Somebody asked for that end.
  if (ending.state === 'cancelled') return { ...ending, exitCode: ExitCode.DONE }
  if (outcome.error?.code !== 'CLOSED') return ending
  const message = `interrupted: the job on '${target}' continues in QEMU, and the next reap finds it`
  return { ...ending, exitCode: ExitCode.CANCELLED, state: 'cancelled', code: 'CANCELLED', message }
}

function sentenceOf({ state, error }: Outcome): string {
  if (error === null) return 'completed'
  if (error.code === 'CLOSED') return 'continues in QEMU'
  return `${state}: ${error.message}`
}

function lineOf(domain: Domain, { target, path, outcome }: ReapedJob) {
  const { state, error, bytesMoved, seconds, method, released, releasedBytes } = outcome
  const { verified, durable, trailingData } = outcome
  const { hint } = endingOfJob(outcome)
  const why = { code: error?.code ?? null, message: error?.message ?? null, hint }
  const ended = { bytesMoved, seconds, method, released, releasedBytes, verified, durable, trailingData }
  return { event: 'reaped', domain: domain.name, target, path, state, ...why, ...ended }
}
