// SPDX-License-Identifier: Apache-2.0
//
// The JSON lines of `--json`: one object a line, told apart by `event`, the last one always `end`.
//
// Numbers are plain bytes and seconds. A line of a pull of several images also names its `image`; with a single
// image there is nothing to tell apart and the key is left out. Writes to the result stream only.

import type { Progress } from '../index.js'
import type { Output } from './context.js'
import type { Ending } from './exit-codes.js'

export function writeJson(out: Output, line: { readonly event: string; readonly [key: string]: unknown }): void {
  out.write(`${JSON.stringify(line)}\n`)
}

export function progressLine(progress: Progress, image?: string) {
  const { cur, end, bytesMoved, bytesToMove, bytesPerSecond, etaSeconds, method } = progress
  const facts = { cur, end, bytesMoved, bytesToMove, bytesPerSecond, etaSeconds, method }
  return { event: 'progress', ...(image !== undefined && { image }), ...facts }
}

export function endLine(ending: Ending, image?: string) {
  const { state, code, message, bytesMoved, seconds, method, released } = ending
  const ordered = { state, code, message, bytesMoved, seconds, method, released }
  return { event: 'end', ...(image !== undefined && { image }), ...ordered }
}
