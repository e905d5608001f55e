// SPDX-License-Identifier: Apache-2.0
//
// Runs the command as a user does, and takes care of tests that need rights: mounts, and files that may not be
// opened. Root may open everything, so for these the command runs without that privilege.

import { join } from 'node:path'
import { type Ended, run, runWell } from './run-program.js'

export const commandFile = join(import.meta.dirname, '../../../dist/cli/main.js')

const isRoot = process.getuid?.() === 0

/** `blockpull` with these arguments. */
export function blockpull(...args: readonly string[]): Promise<Ended> {
  return run(process.execPath, [commandFile, ...args])
}

/** The same as somebody for whom the modes of files count. */
export function unprivilegedBlockpull(...args: readonly string[]): Promise<Ended> {
  const lost = '-dac_override,-dac_read_search'
  return isRoot
    ? run('setpriv', [`--bounding-set=${lost}`, `--inh-caps=${lost}`, process.execPath, commandFile, ...args])
    : blockpull(...args)
}

/** Runs a program that only root may; asks sudo where need be. */
export async function asRoot(program: string, ...args: readonly string[]): Promise<string> {
  return isRoot ? await runWell(program, args) : await runWell('sudo', ['-n', program, ...args])
}
