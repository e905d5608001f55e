// SPDX-License-Identifier: Apache-2.0
//
// `blockpull check`: whether the refcounts and tables of a qcow2 image are right, and their repair.
//
// The exit codes are those of `qemu-img check`, so that scripts made for it can use this one. Findings are results and
// go to stdout. At most a hundred of each severity are listed; the counts are complete.

import type { CheckReport } from '../../index.js'
import { formatOption, readRepair, repairChoices } from '../args.js'
import { toPath } from '../command-line.js'
import type { Command } from '../context.js'
import { done, type Ending, ExitCode } from '../exit-codes.js'
import { endLine, writeJson } from '../json.js'
import { formatShare } from '../measures.js'
import { tell } from '../shown.js'
import { withSignal } from '../waiting.js'

/** As `qemu-img check` has them. */
const CheckCode = { SOUND: 0, NOT_COMPLETED: 1, ERRORS: 2, LEAKS: 3, NO_CHECK: 63 } as const

export const check: Command = {
  name: 'check',
  summary: 'Check the refcounts and tables of a qcow2 image, or repair them.',
  usage: ['check IMAGE [OPTION]...'],
  options: {
    repair: {
      value: 'SCOPE',
      choices: repairChoices,
      help: 'leaks: if there are no errors; all: refcounts and flags too',
    },
    ...formatOption,
  },
  operands: 'files',
  notes: [
    'Internal snapshots and persistent bitmaps are checked as well. Without --repair, IMAGE',
    'is only read, and nobody may have it open for writing. With it, nobody may have it open',
    'at all. A repair changes nothing that a guest or a snapshot reads, and what cannot be',
    'right is left. Findings and exit code are those after the repair.',
  ],
  exitMeanings: [
    [CheckCode.SOUND, 'sound'],
    [CheckCode.NOT_COMPLETED, 'not completed'],
    [CheckCode.ERRORS, 'errors'],
    [CheckCode.LEAKS, 'leaks'],
    [CheckCode.NO_CHECK, 'no check for this format'],
    [ExitCode.INTERRUPTED_TWICE, 'exited on a second Ctrl-C'],
  ],
  failureCode: (code) => (code === 'FORMAT_UNKNOWN' ? CheckCode.NO_CHECK : CheckCode.NOT_COMPLETED),
  run: async (args, context) => {
    const [path = ''] = args.exactly('IMAGE')
    const format = args.text('format')
    const repair = readRepair(args)
    const found = await withSignal(context, (signal) =>
      context.api.checkImage(toPath(path), { format, repair, signal, bigint: true }),
    )
    const ending = endingOf(found)
    if (args.has('json')) {
      writeJson(context.out, { event: 'check', path, ...found })
      writeJson(context.out, endLine(ending))
    } else {
      tell(context.out, ...linesOf(path, found, repair ?? 'leaks'))
    }
    return ending.exitCode
  },
}

function endingOf({ errors, leaks }: CheckReport<bigint>): Ending {
  if (errors > 0n) return { ...done, exitCode: CheckCode.ERRORS, code: 'ERRORS', message: amount(errors, 'error') }
  if (leaks > 0n) return { ...done, exitCode: CheckCode.LEAKS, code: 'LEAKS', message: amount(leaks, 'leak') }
  return done
}

function linesOf(path: string, found: CheckReport<bigint>, scope: Scope): string[] {
  const { errors, leaks, notes, findings } = found
  const listed = (severity: string) => BigInt(findings.filter((finding) => finding.severity === severity).length)
  const counts = [
    ['error', errors],
    ['leak', leaks],
    ['note', notes],
  ] as const
  const more = counts
    .filter(([severity, count]) => count > listed(severity))
    .map(([severity, count]) => `… and ${amount(count - listed(severity), `more ${severity}`)}`)
  const bad = counts.filter(([severity, count]) => count > 0n && severity !== 'note')
  const verdict = bad.length === 0 ? 'sound' : bad.map(([severity, count]) => amount(count, severity)).join(', ')
  return [
    ...findings.map(({ severity, message }) => `${severity}: ${message}`),
    ...more,
    ...repairLines(path, found, scope),
    `${path}: ${verdict}; ${use(found)}`,
  ]
}

/** What a repair has done, and what to do about the rest. */
function repairLines(path: string, { repaired, errors, leaks }: CheckReport<bigint>, scope: Scope): string[] {
  if (repaired === null) return []
  const done = `${path}: ${amount(repaired.errors, 'error')} and ${amount(repaired.leaks, 'leak')} repaired`
  if (errors > 0n) return [done, `${path}: ${leftAdvice[scope]}`]
  return leaks > 0n
    ? [done, `${path}: leaks are left, since an entry or a feature that was not understood may own them`]
    : [done]
}

type Scope = 'leaks' | 'all'

const leftAdvice: Readonly<Record<Scope, string>> = {
  leaks: "with errors nothing is taken back; try '--repair all'",
  all: "what cannot be right is left, and nothing is freed; 'qemu-img convert' copies what can be read",
}

/** '5 of 16 clusters in use (31.3 %), 1 snapshot'. */
function use({
  totalClusters,
  allocatedClusters,
  compressedClusters,
  snapshots,
  bitmaps,
}: CheckReport<bigint>): string {
  const share = formatShare(allocatedClusters, totalClusters)
  return [
    `${allocatedClusters} of ${totalClusters} clusters in use (${share})`,
    ...(compressedClusters > 0n ? [`${compressedClusters} compressed`] : []),
    ...(snapshots > 0 ? [amount(BigInt(snapshots), 'snapshot')] : []),
    ...(bitmaps > 0 ? [amount(BigInt(bitmaps), 'bitmap')] : []),
  ].join(', ')
}

/** '1 leak', '2 leaks'. */
function amount(count: bigint, noun: string): string {
  return `${count} ${noun}${count === 1n ? '' : 's'}`
}
