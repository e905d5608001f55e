// SPDX-License-Identifier: Apache-2.0
//
// `blockpull list`: the domains of a connection, their disks and the jobs on them.
//
// A job of another process is not known by name, but its lock on the image is: such a disk is shown as pulled by
// that process, and the exit code is 4, as whoever wants that disk has to wait. A disk that cannot be looked at
// shows the code of the error in place of its job, and does not keep the others from being listed.

import { type BlockJobInfo, BlockPullError, type Disk, type Domain } from '../../index.js'
import type { Command, Context } from '../context.js'
import { done, type Ending, ExitCode } from '../exit-codes.js'
import { writeJson } from '../json.js'
import { formatShare, formatTable } from '../measures.js'
import { report } from '../report.js'

export const list: Command = {
  name: 'list',
  summary: 'List the domains of a connection, with their disks and jobs.',
  usage: ['list [--connect URI] [--json]'],
  options: { connect: { value: 'URI', short: 'c', help: 'the connection; default: the URI in BLOCKPULL_URI' } },
  notes: [],
  run: async (args, context) => {
    args.exactly()
    const json = args.has('json')
    const connection = await context.api.connect(args.text('connect') ?? '', { readOnly: true })
    try {
      const rows: string[][] = []
      let busy = 0
      for (const domain of await connection.listAllDomains()) {
        const disks: DiskState[] = []
        for (const disk of domain.disks) disks.push(await diskState(context, domain, disk))
        busy += disks.filter(isPulledElsewhere).length
        const { name, uuid, state } = domain
        if (json) writeJson(context.out, { event: 'domain', name, uuid, state, disks })
        if (disks.length === 0) rows.push([name, state, '-', '-'])
        for (const disk of disks) rows.push([name, state, disk.target, jobText(disk)])
      }
      if (!json) context.out.write(formatTable([['DOMAIN', 'STATE', 'DISK', 'JOB'], ...rows]))
      return report(context, busy === 0 ? done : busyEnding(busy), { json })
    } finally {
      await connection.close()
    }
  },
}

interface DiskState extends Disk {
  readonly job: BlockJobInfo<bigint> | null
  readonly inUseBy: string | null
  readonly error: string | null
}

async function diskState(context: Context, domain: Domain, disk: Disk): Promise<DiskState> {
  try {
    const job = await domain.blockJobInfo(disk.target, { bigint: true })
    const layers =
      job === null ? await context.api.inspectChain(disk.source, { format: disk.format, bigint: true }) : []
    return { ...disk, job, inUseBy: layers[0]?.inUseBy ?? null, error: null }
  } catch (error) {
    if (!BlockPullError.is(error)) throw error
    return { ...disk, job: null, inUseBy: null, error: error.code }
  }
}

/** Somebody who has the image open for writing and is not QEMU. */
function isPulledElsewhere({ inUseBy }: DiskState): boolean {
  return inUseBy !== null && !inUseBy.includes('(qemu')
}

function jobText(disk: DiskState): string {
  if (disk.error !== null) return disk.error
  if (disk.job !== null) return `pull, ${formatShare(disk.job.cur, disk.job.end)}`
  if (disk.inUseBy === null) return '-'
  return `${isPulledElsewhere(disk) ? 'pulled' : 'in use'} by ${disk.inUseBy}`
}

function busyEnding(busy: number): Ending {
  const message = `${busy} ${busy === 1 ? 'disk is' : 'disks are'} in use by another process; try again when it is done`
  return { ...done, exitCode: ExitCode.BUSY, state: 'failed', code: 'LOCKED', message }
}
