// SPDX-License-Identifier: Apache-2.0
//
// What a command works with: the public API, the output streams, and the ways to stop it.
//
// The CLI is a client of the package's public API and nothing more; `Api` names the part it uses. Everything that
// belongs to the process (streams, environment, signals) is handed in, so that a test can run a command whole.

import type * as blockpull from '../index.js'
import type { Arguments, CommandSyntax } from './args.js'

/** The calls of the package that commands make. */
export type Api = Pick<
  typeof blockpull,
  | 'checkImage'
  | 'compareImages'
  | 'connect'
  | 'createImage'
  | 'digestImage'
  | 'imageInfo'
  | 'inspectChain'
  | 'plan'
  | 'pullImage'
  | 'shimPath'
>

/** A stream to write text to; the optional members are those of process.stderr. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  /** Whether its reader has gone. */
  readonly destroyed?: boolean | undefined
}

export interface Context {
  readonly api: Api
  /** Results. */
  readonly out: Output
  /** Progress and failures. */
  readonly err: Output
  readonly environment: NodeJS.ProcessEnv
  readonly version: string
  /** Calls `listener` at each Ctrl-C, SIGTERM or closed terminal, until the returned function is called. */
  readonly onInterrupt: (listener: () => void) => () => void
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  readonly exitNow: (code: number) => void
}

export interface Command extends CommandSyntax {
  /** Gives the exit code; a failure may also be thrown. */
  readonly run: (args: Arguments, context: Context) => Promise<number>
  /** The exit code of a failure, where the command has its own codes. `code` is that of the error. */
  readonly failureCode?: (code: string | null) => number
}
