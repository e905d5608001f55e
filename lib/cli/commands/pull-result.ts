// SPDX-License-Identifier: Apache-2.0
//
// What a pull that was done is told as, whether of an image or of a domain's disk. Pure functions.

import type { Ending } from '../exit-codes.js'
import type { FollowStyle } from '../follow-job.js'
import { formatBytes, formatRate, formatSeconds } from '../measures.js'

/** What the command line says of the output; each job adds its names. */
export type PullStyle = Omit<FollowStyle, 'label' | 'image'>

/** A pull that took less is told without a rate: that of the few bytes of an instant means nothing. */
const shortestSeconds = 0.01

/** A label that leaves room for a bar beside it. */
export function shorten(label: string): string {
  return label.length > 30 ? `${label.slice(0, 27)}...` : label
}

export function resultText(label: string, ending: Ending): string {
  const { bytesMoved, released } = ending
  if (Number(bytesMoved) === 0 && released.length === 0) return `${label}: nothing to pull\n`
  const lines = [`${label}: pulled, ${Number(bytesMoved) === 0 ? 'nothing had to be moved' : movedText(ending)}`]
  for (const path of released) lines.push(`  no longer needed: ${path}`)
  return `${lines.join('\n')}\n`
}

function movedText({ bytesMoved, seconds, method }: Ending): string {
  // QEMU goes over the whole disk, and does not tell how much of it was copied.
  const moved = `${formatBytes(bytesMoved)} ${method === 'block-stream' ? 'gone over' : 'moved'}`
  if (seconds < shortestSeconds) return `${moved} in less than ${formatSeconds(shortestSeconds)} (${method})`
  return `${moved} in ${formatSeconds(seconds)} (${formatRate(Number(bytesMoved) / seconds)}, ${method})`
}
