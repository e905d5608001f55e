#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
//
// The command `blockpull`: gives the process to the program.
//
// The exit code is set and the process left to end by itself, so that nothing written to a pipe is lost. A reader
// that goes away (`blockpull chain x | head -1`) is no failure: the rest of the output is dropped, a running job
// goes on to its end. Listeners for signals exist only while a job can be aborted. A terminal that is closed is both:
// it asks to stop (SIGHUP), and nobody reads any more.

import { closeSync, openSync, readFileSync } from 'node:fs'
import { isatty } from 'node:tty'
import * as api from '../index.js'
import { typedArguments } from './command-line.js'
import { runProgram } from './program.js'

/** Before the title, which takes the place of what the kernel has. */
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
 * At its end Node resets the terminal that it began on, and dies of SIGABRT where that is gone. What is no terminal it
 * leaves alone, so /dev/null takes the place.
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
