// SPDX-License-Identifier: Apache-2.0
//
// One folder for a whole run of the tests, in which all others are made, and which goes away with the run.
//
//     TMPDIR/blockpull-run-PID/kill-us-Xy12/case-0       a test file's own (temp-folder.ts), removed by the file
//     TMPDIR/blockpull-run-PID/kept-kill-us-Xy12-case-0  what a failed test wants to be looked at; it stays
//
// A test file cleans up after itself, but not when its process crashes or is killed. Then the run does it for the
// file; and for a run that was killed outright, as by SIGKILL, the next run does it. Vitest calls setup() in its own
// process, before it starts those of the test files.

import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const runPrefix = 'blockpull-run-'
const keptPrefix = 'kept-'

export function setup(): () => void {
  const above = tmpdir()
  for (const folder of foldersOfTheDead(above)) clear(folder)
  const own = join(above, `${runPrefix}${process.pid}`)
  mkdirSync(own, { mode: 0o700 })
  process.env['TMPDIR'] = own
  process.once('exit', () => clear(own))
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
  return () => clear(own)
}

/** The name under which a folder in the run's folder outlives the run. */
export function keptName(name: string): string {
  return `${keptPrefix}${name}`
}

/** The folders in `above` of runs whose process is gone. */
export function foldersOfTheDead(above: string): string[] {
  const isOfTheDead = (name: string) =>
    name.startsWith(runPrefix) && !existsSync(`/proc/${name.slice(runPrefix.length)}`)
  return readdirSync(above)
    .filter(isOfTheDead)
    .map((name) => join(above, name))
}

/** Removes a run's folder, or all of it but what is kept and what another user or a mount holds fast. */
export function clear(folder: string): void {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(keptPrefix)) tryTo(() => rmSync(join(folder, name), { recursive: true, force: true }))
  }
  tryTo(() => rmdirSync(folder))
}

function tryTo(remove: () => void): void {
  try {
    remove()
  } catch {
    // It stays; the next run tries again.
  }
}
