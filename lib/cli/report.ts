// SPDX-License-Identifier: Apache-2.0
//
// The end of a command: the failure in a sentence, the outcome as JSON, the exit code.
//
// A failure is printed on stderr even with `--quiet`, and with `--json` on stdout as well, so that neither a person nor
// a program has to look elsewhere. Writes only; decides nothing.

import type { Context } from './context.js'
import type { Ending } from './exit-codes.js'
import { endLine, writeJson } from './json.js'
import { tell } from './shown.js'

export interface ReportStyle {
  readonly json: boolean
  /** The image that the end line names if there are several. */
  readonly image?: string | undefined
}

/** Reports how a command ended; gives the exit code. */
export function report(context: Context, ending: Ending, style: ReportStyle): number {
  if (ending.exitCode !== 0) {
    tell(context.err, `blockpull: ${ending.message}`)
    if (ending.hint !== null) tell(context.err, `  hint: ${ending.hint}`)
  }
  if (style.json) writeJson(context.out, endLine(ending, style.image))
  return ending.exitCode
}

export function warn(context: Context, sentence: string): void {
  tell(context.err, `blockpull: warning: ${sentence}`)
}
