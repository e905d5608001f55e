// SPDX-License-Identifier: Apache-2.0
//
// `blockpull pull --dry-run`: prints what a pull would do, and does nothing.
//
// A plan with refusals ends as the pull itself would: the first refusal's sentence goes to stderr, with its exit code.
// So a script can ask before it acts. The result lists the other refusals, and what the pull would do without them. A
// plan without refusals ends as 'planned', since nothing is completed. Writes to the result stream only.

import type { Plan, WalkProgress } from '../../index.js'
import { nameOf } from '../command-line.js'
import type { Context, Output } from '../context.js'
import { done, type Ending, endingOfError } from '../exit-codes.js'
import { writeJson } from '../json.js'
import { type Amount, formatBytes, formatSeconds, formatTable } from '../measures.js'
import { tell } from '../shown.js'
import { WalkLine } from '../walk-line.js'

export interface PlanStyle {
  readonly label: string
  readonly image?: string | undefined
  readonly json: boolean
  /** A line below the files that would no longer be needed. */
  readonly hint?: string | undefined
}

/** Asks for a plan, prints it, and gives how a pull would end. */
export async function planned(
  context: Context,
  style: PlanStyle & { readonly quiet: boolean },
  ask: (onProgress: (progress: WalkProgress<Amount>) => void) => Promise<Plan<Amount>>,
): Promise<Ending> {
  const line = new WalkLine(context, style)
  try {
    const plan = await ask(line.show)
    line.clear()
    if (style.json || !style.quiet) writePlan(context.out, plan, style)
    return planEnding(plan)
  } catch (error) {
    return endingOfError(error)
  } finally {
    line.clear()
  }
}

function writePlan(out: Output, plan: Plan<Amount>, style: PlanStyle): void {
  if (style.json) {
    const refusals = plan.refusals.map(({ code, message, hint }) => ({ code, message, hint }))
    writeJson(out, { event: 'plan', ...(style.image !== undefined && { image: style.image }), ...plan, refusals })
    return
  }
  if (plan.refusals.length > 0) {
    const further = plan.refusals
      .slice(1)
      .flatMap(({ message, hint }) => [['  also', message], ...(hint === null ? [] : [['', hint]])])
    // A pull that is refused before it was counted is not printed as 0 bytes.
    const rows = Number(plan.bytesToMove) === 0 ? further : [...further, ...planRows(plan, style.hint)]
    tell(out, `${style.label}: would be refused`)
    if (rows.length > 0) out.write(formatTable(rows))
  } else if (plan.method === 'none' && plan.released.length === 0) {
    tell(out, `${style.label}: nothing to pull`)
  } else {
    tell(out, `${style.label}: would be pulled`)
    out.write(formatTable(planRows(plan, style.hint)))
  }
}

function planRows(plan: Plan<Amount>, hint: string | undefined): string[][] {
  // If the free space is unknown, the files could not be read, and the sizes are estimates.
  const about = plan.bytesFree === null ? 'about ' : ''
  const free = plan.bytesFree === null ? '' : ` of ${formatBytes(plan.bytesFree)} free`
  return [
    ['  to move', about + formatBytes(plan.bytesToMove) + (plan.method === 'none' ? '' : ` (${plan.method})`)],
    ['  to allocate', about + formatBytes(plan.bytesToAllocate) + free],
    ...(plan.seconds === null ? [] : [['  at this limit', formatSeconds(plan.seconds)]]),
    ['  backing file then', plan.base ?? 'none'],
    ...trailingRow(plan),
    ...plan.released.map((path, at) => ['  no longer needs', nameOf(path, plan.releasedBytes?.[at])]),
    ...(hint === undefined || plan.released.length === 0 ? [] : [['', hint]]),
  ]
}

function trailingRow({ trailingData: found }: Plan<Amount>): string[][] {
  return found === null ? [] : [['  behind the image', `${formatBytes(found.bytes)} from offset ${found.offset}`]]
}

function planEnding(plan: Plan<Amount>): Ending {
  const [refusal] = plan.refusals
  return refusal === undefined ? { ...done, state: 'planned' } : endingOfError(refusal)
}
