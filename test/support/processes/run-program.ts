// SPDX-License-Identifier: Apache-2.0
//
// Runs a program to its end and gives what it printed and how it ended. A program that is not installed fails
// the test with the name of what is missing: no test here is skipped for want of a tool.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'

export interface Ended {
  /** Exit code, or 128 + n after signal n, as a shell counts. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs a program; whatever its exit code, the caller judges it. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...options.env }
    const child = spawn(program, args, { cwd: options.cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (text) => {
      stdout += text
    })
    child.stderr.on('data', (text) => {
      stderr += text
    })
    child.on('error', (error) =>
      reject(new Error(`'${program}' cannot be run, and the tests need it: ${error.message}`)),
    )
    child.on('close', (code, signal) => resolve({ code: code ?? codeOf(signal), stdout, stderr }))
  })
}

/** What a shell calls the end by a signal. */
export function codeOf(signal: NodeJS.Signals | null): number {
  return 128 + (signal === null ? 0 : constants.signals[signal])
}

/** Runs a program that must succeed; gives its standard output. */
export async function runWell(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options)
  if (code !== 0) {
    throw new Error(`'${[program, ...args].join(' ')}' ended with ${code}: ${stdout}${stderr}`)
  }
  return stdout
}
