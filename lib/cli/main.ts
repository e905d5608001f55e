#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
//
// The command `blockpull`: gives the process to the program.
//
// The exit code is set and the process ends on its own, so that nothing written to a pipe is lost. A reader that goes
// away (`blockpull chain x | head -1`) is not a failure: the rest of the output is dropped, and a running job continues
// to its end. Signal listeners exist only while a job can be aborted. A closed terminal is both: a request to stop
// (SIGHUP), and a reader that has gone.

import { closeSync, openSync, readFileSync } from 'node:fs'
import { isatty } from 'node:tty'
import * as api from '../index.js'
import { typedArguments } from './command-line.js'
import { runProgram } from './program.js'

/** Read before the title is set, which overwrites the kernel's copy. */
const typed = typedArguments(process.argv.slice(2), () => readFileSync('/proc/self/cmdline'))

process.title = 'blockpull'

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || (error.code === 'EIO' && stream.isTTY)) return
    process.exitCode = 1
    if (stream === process.stdout) process.stderr.write(`blockpull: output cannot be written: ${error.message}\n`)
  })
}

function onInterrupt(listener: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, listener)
  return () => {
    for (const signal of signals) process.off(signal, listener)
  }
}

/**
 * At exit Node resets the terminal that it started on, and dies of SIGABRT if that is gone. It leaves other files
 * alone, so /dev/null replaces a terminal that is gone.
 */
const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor))
process.on('exit', () => {
  for (const descriptor of terminals.filter((descriptor) => !isatty(descriptor))) {
    closeSync(descriptor)
    openSync('/dev/null', 'r+')
  }
})

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const exitCode = await runProgram(typed, {
  api,
  out: process.stdout,
  err: process.stderr,
  environment: process.env,
  version,
  onInterrupt,
  now: () => performance.now(),
  exitNow: (code) => process.exit(code),
})
if (exitCode !== 0) process.exitCode = exitCode
