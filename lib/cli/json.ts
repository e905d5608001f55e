// SPDX-License-Identifier: Apache-2.0
//
// The JSON lines of `--json`: one object a line, told apart by `event`, the last one always `end`.
//
// Numbers are plain bytes and seconds with every digit. A size above 2^53 is written exactly; the reader must keep it
// so. In a pull of several images a line also names its `image`; with a single image the key is left out. Names are not
// escaped. A name that is not UTF-8 has U+FFFD for each wrong byte, and its bytes beside it in base64 (`pathBytes`).
// Writes to the result stream only.

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

/** JSON.stringify with bigints as numbers. A NUL marks each one, since no path and no sentence holds a NUL. */
export function toJson(line: JsonLine): string {
  const marked = JSON.stringify({ ...line, ...bytesBeside(line) }, (_, value) => {
    if (typeof value === 'bigint') return `\u0000${value}`
    return typeof value === 'string' ? value.replace(/\p{Cs}/gu, '\ufffd') : value
  })
  return marked.replace(/"\\u0000(-?\d+)"/g, '$1')
}

/** For typed names that are not UTF-8: `pathBytes` in base64 beside `path`. */
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
  // Fields that only a job has are undefined without one, and JSON leaves them out.
  const work = { state, code, message, hint, bytesMoved, seconds, method, released, releasedBytes }
  return { event: 'end', ...(image !== undefined && { image }), ...work, verified, durable, trailingData }
}
