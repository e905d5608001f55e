// SPDX-License-Identifier: Apache-2.0
//
// The lines that report a finished pull, of an image or of a domain's disk. Pure functions.

import { nameOf } from '../command-line.js'
import type { Ending } from '../exit-codes.js'
import type { FollowStyle } from '../follow-job.js'
import { formatBytes, formatRate, formatSeconds } from '../measures.js'

/** The command line's part of a style; each job adds its names. */
export type PullStyle = Omit<FollowStyle, 'label' | 'image'>

interface Released {
  readonly released: readonly string[]
  readonly releasedBytes?: readonly string[] | null
}

/** A shorter pull is reported without a rate: the rate of an instant means nothing. */
const shortestSeconds = 0.01

/** What could not be established about a completed job; its warnings say why. */
export function doubtsOf({ verified, durable }: Pick<Ending, 'verified' | 'durable'>): string[] {
  return [
    ...(verified === false ? ['not verified: keep the backing files'] : []),
    ...(durable === false ? ['not known to be durable: keep the backing files until the guest has shut off'] : []),
  ]
}

/** The files that the job's disk no longer needs, a line each. */
export function releasedLines(label: string, { released, releasedBytes }: Released): string[] {
  return released.map((path, at) => `${label} no longer needs ${nameOf(path, releasedBytes?.[at])}`)
}

export function resultLines(label: string, ending: Ending, hint?: string): string[] {
  const { bytesMoved, released } = ending
  const doubts = doubtsOf(ending)
  const isIdle = Number(bytesMoved) === 0 && released.length === 0
  const moved = Number(bytesMoved) === 0 ? 'nothing had to be moved' : movedText(ending)
  return [
    isIdle ? `${label}: nothing to pull` : `${label}: pulled, ${moved}`,
    ...[...doubts, ...trailingText(ending), ...releasedLines(label, ending)].map((line) => `  ${line}`),
    ...(hint === undefined || released.length === 0 ? [] : [`  ${hint}`]),
  ]
}

function trailingText({ trailingData: found }: Ending): string[] {
  return found ? [`${found.bytes} bytes lay behind the image, from offset ${found.offset} on`] : []
}

function movedText({ bytesMoved, seconds, method }: Ending): string {
  // QEMU goes over the whole disk, and does not report how much of it was copied.
  const moved = `${formatBytes(bytesMoved)} ${method === 'block-stream' ? 'gone over' : 'moved'}`
  if (seconds < shortestSeconds) return `${moved} in less than ${formatSeconds(shortestSeconds)} (${method})`
  return `${moved} in ${formatSeconds(seconds)} (${formatRate(Number(bytesMoved) / seconds)}, ${method})`
}
