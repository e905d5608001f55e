// SPDX-License-Identifier: Apache-2.0
//
// `blockpull pull --dry-run`: what a pull would do, told and done nothing about.
//
// A plan with refusals ends as the pull itself would, with the first refusal's exit code, so that a script can ask
// before it acts. Writes to the result stream only.

import type { Plan } from '../../index.js'
import type { Output } from '../context.js'
import { done, type Ending, endingOfError } from '../exit-codes.js'
import { writeJson } from '../json.js'
import { formatBytes, formatSeconds, formatTable } from '../measures.js'

export interface PlanStyle {
  readonly label: string
  readonly image?: string | undefined
  readonly json: boolean
}

export function writePlan(out: Output, plan: Plan, style: PlanStyle): void {
  if (style.json) {
    const refusals = plan.refusals.map(({ code, message }) => ({ code, message }))
    writeJson(out, { event: 'plan', ...(style.image !== undefined && { image: style.image }), ...plan, refusals })
    return
  }
  const rows = [
    ['  to move', formatBytes(plan.bytesToMove) + (plan.method === 'none' ? '' : ` (${plan.method})`)],
    ['  to allocate', `${formatBytes(plan.bytesToAllocate)} of ${formatBytes(plan.bytesFree)} free`],
    ...(plan.seconds === null ? [] : [['  at this limit', formatSeconds(plan.seconds)]]),
    ['  backing file then', plan.base ?? 'none'],
    ...plan.released.map((path) => ['  no longer needed', path]),
    ...plan.refusals.map(({ message }) => ['  refused', message]),
  ]
  const verdict = plan.refusals.length === 0 ? 'would be pulled' : 'would be refused'
  out.write(`${style.label}: ${verdict}\n${formatTable(rows)}`)
}

export function planEnding(plan: Plan): Ending {
  const [refusal] = plan.refusals
  return refusal === undefined ? done : endingOfError(refusal)
}
