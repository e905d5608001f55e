// SPDX-License-Identifier: Apache-2.0
//
// `blockpull list`: the domains of a connection, their disks and the jobs on them.
//
// A running domain's QEMU is asked for jobs, and for disks if no XML states them. All domains are asked at once. One
// whose monitor is in use shows MONITOR_BUSY, and a disk that cannot be read shows its error code in place of a job.
// The others are listed all the same, even after an interrupt. The exit code is 4 if waiting helps: another process
// pulls a disk, or a monitor is in use. It is 1 if waiting does not help: the socket is not a QMP monitor, or the
// domain's XML cannot be read.

import type { Disk, Domain } from '../../index.js'
import type { Command, Context } from '../context.js'
import { type DiskState, diskState, isPulledElsewhere } from '../disk-state.js'
import { done, type Ending, ExitCode, exitCodeOf, isFailure } from '../exit-codes.js'
import { connectionOptions, findDomains, withConnection } from '../find-disk.js'
import { jobShare } from '../job-words.js'
import { writeJson } from '../json.js'
import { formatTable } from '../measures.js'
import { report } from '../report.js'
import { untilStopped, type Wait } from '../waiting.js'

/** A QEMU that is free greets at once. */
const monitorTimeouts = { connect: 2000 }

export const list: Command = {
  name: 'list',
  summary: 'List the domains of a connection, with their disks and jobs.',
  usage: ['list [--connect URI] [--json]', 'list --qmp SOCKET [--json]'],
  options: connectionOptions,
  notes: [
    'MONITOR_BUSY: another program is connected to the QMP socket of that domain, or',
    'its QEMU hangs, or the socket is not a QMP socket and sends nothing.',
    'Exit code 4: MONITOR_BUSY, or another process pulls a disk. 1: the socket does',
    'not speak QMP, or the XML of a domain cannot be read; the others are listed.',
  ],
  run: async (args, context) => {
    args.exactly()
    const json = args.has('json')
    return await withConnection(args, context, { readOnly: true, monitorTimeouts }, async (connection) => {
      const domains = await findDomains(args, connection)
      const { listed, hasEnded } = await untilStopped(context, connection, async (wait) => {
        const listed = await Promise.all(domains.map((domain) => domainState(context, wait, domain)))
        return { listed, hasEnded: wait.hasEnded }
      })
      if (json) for (const domain of listed) writeJson(context.out, { event: 'domain', ...domain })
      else context.out.write(formatTable([['DOMAIN', 'STATE', 'DISK', 'JOB'], ...listed.flatMap(rowsOf)]))
      return report(context, endingOf(listed, hasEnded), { json })
    })
  },
}

interface DomainState {
  readonly name: string
  readonly uuid: string
  readonly state: string
  /** Code of the error that prevented asking its QEMU. */
  readonly error: string | null
  /** Its sentence. */
  readonly message: string | null
  readonly disks: readonly DiskState[]
}

async function domainState(context: Context, wait: Wait, domain: Domain): Promise<DomainState> {
  const { name, uuid, state } = domain
  try {
    if (domain.error !== null) throw domain.error
    const disks = await disksOf(context, wait, domain, await domain.listDisks())
    return { name, uuid, state, error: null, message: null, disks }
  } catch (thrown) {
    const error = wait.explain(thrown)
    if (!isFailure(error)) throw error
    return { name, uuid, state, error: error.code, message: error.message, disks: [] }
  }
}

/** One after another: a monitor that did not answer for one disk will not answer for the next. */
async function disksOf(context: Context, wait: Wait, domain: Domain, disks: readonly Disk[]): Promise<DiskState[]> {
  const states: DiskState[] = []
  for (const disk of disks) {
    const silent = states.find(({ error }) => error?.startsWith('MONITOR_'))
    states.push(silent ? { ...silent, ...disk } : await diskState(context, wait, domain, disk))
  }
  return states
}

function rowsOf({ name, state, error, disks }: DomainState): string[][] {
  if (disks.length === 0) return [[name, state, '-', error ?? '-']]
  return disks.map((disk) => [name, state, disk.target, jobText(disk)])
}

function jobText(disk: DiskState): string {
  if (disk.error !== null) return disk.error
  if (disk.job !== null) return jobShare(disk.job)
  if (disk.inUseBy === null) return '-'
  return `${isPulledElsewhere(disk) ? 'pulled' : 'in use'} by ${disk.inUseBy}`
}

function endingOf(listed: readonly DomainState[], hasEnded: boolean): Ending {
  const lost = listed.flatMap((domain) => lossOf(domain) ?? [])
  const pulled = listed.flatMap(({ disks }) => disks.filter(isPulledElsewhere)).length
  const silent = listed.filter((domain) => errorsOf(domain).some(({ error }) => error !== null && isSilence(error)))
  const whose = silent.map(({ name }) => `'${name}'`).join(', ')
  if (hasEnded && silent.length > 0) {
    const message = `interrupted before the monitor of ${whose} answered`
    return { ...done, exitCode: ExitCode.FAILED, state: 'failed', code: 'MONITOR_TIMEOUT', message }
  }
  const reasons = lost.map(({ sentence }) => sentence)
  if (pulled > 0) reasons.push(`${pulled} ${pulled === 1 ? 'disk is' : 'disks are'} in use by another process`)
  if (silent.length > 0) {
    const why = 'another program is connected to it, or QEMU hangs, or it is not a QMP socket'
    reasons.push(`the monitor of ${whose} did not answer: ${why}`)
  }
  if (reasons.length === 0) return done
  const message = reasons.join('; ')
  if (lost[0] !== undefined) {
    return { ...done, exitCode: ExitCode.FAILED, state: 'failed', code: lost[0].code, message }
  }
  const code = pulled > 0 ? 'LOCKED' : 'MONITOR_BUSY'
  return { ...done, exitCode: ExitCode.BUSY, state: 'failed', code, message: `${message}; try again when it is done` }
}

/** Why listing a domain fails however often it is tried: its XML or its monitor is wrong. */
function lossOf(domain: DomainState): { readonly code: string; readonly sentence: string } | null {
  const isLost = domain.error !== null && exitCodeOf(domain.error) === ExitCode.FAILED && !isSilence(domain.error)
  const found = isLost ? domain : errorsOf(domain).find(({ error }) => error === 'INVALID_ARGUMENT')
  if (!found?.error) return null
  return { code: found.error, sentence: `domain '${domain.name}': ${found.message}` }
}

function isSilence(code: string): boolean {
  return code.startsWith('MONITOR_')
}

type Failed = Pick<DomainState, 'error' | 'message'>

function errorsOf(domain: DomainState): readonly Failed[] {
  return [domain, ...domain.disks]
}
