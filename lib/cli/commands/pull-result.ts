// SPDX-License-Identifier: Apache-2.0
//
// What a pull that was done is told as, whether of an image or of a domain's disk. Pure functions.

import type { Ending } from '../exit-codes.js'
import type { FollowStyle } from '../follow-job.js'
import { formatBytes, formatRate, formatSeconds } from '../measures.js'

/** What the command line says of the output; each job adds its names. */
export type PullStyle = Omit<FollowStyle, 'label' | 'image'>

/** A label that leaves room for a bar beside it. */
export function shorten(label: string): string {
  return label.length > 30 ? `${label.slice(0, 27)}...` : label
}

export function resultText(label: string, { bytesMoved, seconds, method, released }: Ending): string {
  // QEMU goes over the whole disk, and does not tell how much of it was copied.
  const moved = method === 'block-stream' ? 'gone over' : 'moved'
  if (Number(bytesMoved) === 0 && released.length === 0) return `${label}: nothing to pull\n`
  const rate = seconds > 0 ? `${formatRate(Number(bytesMoved) / seconds)}, ` : ''
  const how = method === 'none' ? '' : ` (${rate}${method})`
  const lines = [`${label}: pulled, ${formatBytes(bytesMoved)} ${moved} in ${formatSeconds(seconds)}${how}`]
  for (const path of released) lines.push(`  no longer needed: ${path}`)
  return `${lines.join('\n')}\n`
}
