// SPDX-License-Identifier: Apache-2.0
//
// `blockpull list`: the domains of a connection, their disks and the jobs on them.
//
// A running domain's QEMU is asked for jobs, and for disks where no XML states them. All domains are asked at once,
// and one whose monitor is in use shows MONITOR_BUSY. A disk that cannot be looked at shows the code of the error in
// place of its job; neither keeps the others from being listed. The exit code is 4 where somebody who wants that
// disk has to wait: for another process that pulls it, or for the monitor.

import { BlockPullError, type Disk, type Domain } from '../../index.js'
import type { Command, Context } from '../context.js'
import { type DiskState, diskState, isPulledElsewhere } from '../disk-state.js'
import { done, type Ending, ExitCode } from '../exit-codes.js'
import { connectionOptions, findDomains, withConnection } from '../find-disk.js'
import { jobShare } from '../job-words.js'
import { writeJson } from '../json.js'
import { formatTable } from '../measures.js'
import { report } from '../report.js'

/** A QEMU that is free greets at once. */
const monitorTimeouts = { connect: 2000 }

export const list: Command = {
  name: 'list',
  summary: 'List the domains of a connection, with their disks and jobs.',
  usage: ['list [--connect URI] [--json]', 'list --qmp SOCKET [--json]'],
  options: connectionOptions,
  notes: [
    'MONITOR_BUSY: another program is connected to the QMP socket of that domain, or',
    'its QEMU hangs. Exit code 4: that, or a disk that another process pulls.',
  ],
  run: async (args, context) => {
    args.exactly()
    const json = args.has('json')
    return await withConnection(args, context, { readOnly: true, monitorTimeouts }, async (connection) => {
      const domains = await findDomains(args, connection)
      const listed = await Promise.all(domains.map((domain) => domainState(context, domain)))
      if (json) for (const domain of listed) writeJson(context.out, { event: 'domain', ...domain })
      else context.out.write(formatTable([['DOMAIN', 'STATE', 'DISK', 'JOB'], ...listed.flatMap(rowsOf)]))
      return report(context, endingOf(listed), { json })
    })
  },
}

interface DomainState {
  readonly name: string
  readonly uuid: string
  readonly state: string
  /** Code of the error that kept its QEMU from being asked. */
  readonly error: string | null
  readonly disks: readonly DiskState[]
}

async function domainState(context: Context, domain: Domain): Promise<DomainState> {
  const { name, uuid, state } = domain
  try {
    const disks = await disksOf(context, domain, await domain.listDisks())
    return { name, uuid, state, error: null, disks }
  } catch (error) {
    if (!BlockPullError.is(error)) throw error
    return { name, uuid, state, error: error.code, disks: [] }
  }
}

/** One after another, as a monitor that did not answer for one disk will not for the next. */
async function disksOf(context: Context, domain: Domain, disks: readonly Disk[]): Promise<DiskState[]> {
  const states: DiskState[] = []
  for (const disk of disks) {
    const silent = states.find(({ error }) => error?.startsWith('MONITOR_'))
    states.push(silent ? { ...silent, ...disk } : await diskState(context, domain, disk))
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

function endingOf(listed: readonly DomainState[]): Ending {
  const pulled = listed.flatMap(({ disks }) => disks.filter(isPulledElsewhere)).length
  const errorsOf = ({ error, disks }: DomainState) => [error, ...disks.map((disk) => disk.error)]
  const silent = listed.filter((domain) => errorsOf(domain).some((code) => code?.startsWith('MONITOR_')))
  const reasons: string[] = []
  if (pulled > 0) reasons.push(`${pulled} ${pulled === 1 ? 'disk is' : 'disks are'} in use by another process`)
  if (silent.length > 0) {
    const whose = silent.map(({ name }) => `'${name}'`).join(', ')
    reasons.push(`the monitor of ${whose} did not answer: another program is connected to it, or QEMU hangs`)
  }
  if (reasons.length === 0) return done
  const message = `${reasons.join('; ')}; try again when it is done`
  const code = pulled > 0 ? 'LOCKED' : 'MONITOR_BUSY'
  return { ...done, exitCode: ExitCode.BUSY, state: 'failed', code, message }
}
