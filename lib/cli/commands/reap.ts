// SPDX-License-Identifier: Apache-2.0
//
// `blockpull reap`: brings jobs that nobody waits for to their end, durably, and tells how each ended.
//
// A pull of a running guest that lost its process waits in QEMU until somebody finishes it; a job that still runs,
// one that was started with --no-wait for example, is waited for. All domains are served at once, and one that cannot
// be reached keeps none of the others. An interrupt leaves what still runs to QEMU, also to one that does not answer:
// the next reap finds it.

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

/** After which a person wonders what is waited for. */
const silenceMs = 1000

export const reap: Command = {
  name: 'reap',
  summary: 'Finish the jobs that were left in running domains.',
  usage: ['reap [--connect URI] [DOMAIN] [--json]', 'reap --qmp SOCKET [--json]'],
  options: connectionOptions,
  notes: [
    'Finishes pulls whose process is gone, waits for those that still run, those that',
    'were started with --no-wait among them, and makes them durable. Jobs of other',
    'programs are left alone; Ctrl-C leaves the rest to QEMU.',
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

/** For people each has been told by then, and is not told again. */
function summary(endings: readonly Ending[], json: boolean): Ending {
  const ending = endingOfAll(endings)
  const bad = endings.filter(({ exitCode }) => exitCode === ExitCode.FAILED || exitCode === ExitCode.BUSY).length
  if (bad === 0 || (json && endings.length === 1)) return ending
  return { ...ending, message: `${bad} of ${endings.length} could not be finished` }
}

/** What is left to QEMU, because of an interrupt, is no failure. */
function endingOf({ outcome, target }: ReapedJob): Ending {
  const ending = endingOfJob(outcome)
  // Somebody wanted it to end so.
  if (ending.state === 'cancelled') return { ...ending, exitCode: ExitCode.DONE }
  if (outcome.error?.code !== 'CLOSED') return ending
  const message = `interrupted: the job on '${target}' goes on in QEMU, and the next reap finds it`
  return { ...ending, exitCode: ExitCode.CANCELLED, state: 'cancelled', code: 'CANCELLED', message }
}

function sentenceOf({ state, error }: Outcome): string {
  if (error === null) return 'completed'
  if (error.code === 'CLOSED') return 'goes on'
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
