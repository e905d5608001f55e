// SPDX-License-Identifier: Apache-2.0
//
// The JSON lines of `--json`: one object a line, told apart by `event`, the last one always `end`.
//
// Numbers are plain bytes and seconds, every digit of them: a size above 2^53 is written exactly, and it is for the
// reader to keep it so. A line of a pull of several images also names its `image`; with a single image there is
// nothing to tell apart and the key is left out. Names are as they are; in one that is no UTF-8 U+FFFD stands for what
// is none, and its bytes go beside it in base64 (`pathBytes`). Writes to the result stream only.

import type { Progress } from '../index.js'
import { bytesOf, holdsBytes } from './command-line.js'
import type { Output } from './context.js'
import type { Ending } from './exit-codes.js'
import type { Amount } from './measures.js'

/** What a line says. */
export interface JsonLine {
  readonly event: string
  readonly [key: string]: unknown
}

export function writeJson(out: Output, line: JsonLine): void {
  writeText(out, toJson(line))
}

/** Writes a line that `toJson` made. */
export function writeText(out: Output, json: string): void {
  out.write(`${json}\n`)
}

/** JSON.stringify with bigints as numbers: each is marked by a NUL, which no path and no sentence holds. */
export function toJson(line: JsonLine): string {
  const marked = JSON.stringify({ ...line, ...bytesBeside(line) }, (_, value) => {
    if (typeof value === 'bigint') return `\u0000${value}`
    return typeof value === 'string' ? value.replace(/\p{Cs}/gu, '\ufffd') : value
  })
  return marked.replace(/"\\u0000(-?\d+)"/g, '$1')
}

/** Of names that were typed and are no UTF-8: `pathBytes` in base64 beside `path`. */
function bytesBeside(line: JsonLine): Record<string, string> {
  const held = Object.entries(line).flatMap(([key, value]) =>
    typeof value === 'string' && holdsBytes(value) ? [[`${key}Bytes`, bytesOf(value).toString('base64')]] : [],
  )
  return Object.fromEntries(held)
}

export function progressLine(progress: Progress<Amount>, image?: string) {
  const { cur, end, bytesMoved, bytesToMove, bytesPerSecond, etaSeconds, method } = progress
  const { stoppedOn, phase, silentSeconds } = progress
  const work = { cur, end, bytesMoved, bytesToMove, bytesPerSecond, etaSeconds, method }
  const facts = { ...work, stoppedOn, phase, silentSeconds }
  return { event: 'progress', ...(image !== undefined && { image }), ...facts }
}

export function endLine(ending: Ending, image?: string) {
  const { state, code, message, hint, bytesMoved, seconds, method, released, releasedBytes } = ending
  const { verified, durable, trailingData } = ending
  // What is undefined, of an end that no job came to, is left out of the line.
  const work = { state, code, message, hint, bytesMoved, seconds, method, released, releasedBytes }
  return { event: 'end', ...(image !== undefined && { image }), ...work, verified, durable, trailingData }
}
