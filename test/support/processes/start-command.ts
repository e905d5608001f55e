// SPDX-License-Identifier: Apache-2.0
//
// The command as a process that runs while the test goes on.

import { spawn } from 'node:child_process'
import { expect, onTestFinished } from 'vitest'
import { commandFile } from './command.js'
import { leashed } from './leash.mjs'
import { codeOf, type Ended } from './run-program.js'

/** A command that runs; `until` waits for what it prints on standard output. */
export function start(...args: readonly string[]) {
  const child = spawn(...leashed(process.execPath, [commandFile, ...args]))
  onTestFinished(() => void child.kill('SIGKILL'))
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (text) => (printed[name] += text))
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => resolve({ code: code ?? codeOf(signal), ...printed }))
  })
  const until = async (words: RegExp, stream: 'stdout' | 'stderr' = 'stdout') => {
    const late = ended.then(({ code, stdout, stderr }) => {
      throw new Error(`the command ended with ${code} before it said ${words}: ${stdout}${stderr}`)
    })
    await Promise.race([late, expect.poll(() => printed[stream], { timeout: 90_000 }).toMatch(words)])
  }
  return { child, ended, until }
}
