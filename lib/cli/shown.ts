// SPDX-License-Identifier: Apache-2.0
//
// Text for people: the one place that makes names harmless and counts columns.
//
// A file may have any name without '/' and NUL: with a line feed that fakes a second line, an escape that clears the
// terminal, or marks that reverse the order of letters. All of these are spelled out ('\n', '\x1b', '\u202e') wherever
// the name appears: in a cell, in the label of the bar, in an error's sentence. Only JSON has names unchanged. A byte
// that is not UTF-8 is a lone surrogate in a typed name (command-line.ts), and is spelled out as the byte. Everything
// that the command writes for people passes through `tell`, `formatTable` or the progress line. Pure functions, except
// `tell`.

import type { Output } from './context.js'
import { stringWidth } from './string-width.js'

/** Controls, marks without a glyph that move or turn text, line and paragraph separators, halves of pairs. */
const harmful = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\p{Cs}]/gu

const short: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
])

/** `text` with everything spelled out that a terminal would obey. */
export function shown(text: string): string {
  return text.replace(harmful, (character) => short.get(character) ?? spelledOut(character.charCodeAt(0)))
}

function spelledOut(code: number): string {
  // The byte that a lone surrogate stands for.
  const value = code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : code
  const digits = value.toString(16)
  return value < 0x100 ? `\\x${digits.padStart(2, '0')}` : `\\u${digits.padStart(4, '0')}`
}

/** Writes lines for people. */
export function tell(output: Output, ...lines: readonly string[]): void {
  output.write(lines.map((line) => `${shown(line)}\n`).join(''))
}

/** The columns that shown text takes. */
export function widthOf(text: string): number {
  return stringWidth(text)
}

/** As much of shown text as fits into so many columns, whole characters only. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let kept = ''
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (widthOf(kept + segment) > columns) break
    kept += segment
  }
  return kept
}

/** A name short enough to leave room for something beside it. */
export function shorten(name: string): string {
  const text = shown(name)
  return widthOf(text) > 30 ? `${cut(text, 27)}...` : text
}

/** Shown text made so many columns wide. */
export function padded(text: string, columns: number, toTheRight = false): string {
  const blanks = ' '.repeat(Math.max(0, columns - widthOf(text)))
  return toTheRight ? blanks + text : text + blanks
}
