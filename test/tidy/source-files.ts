// SPDX-License-Identifier: Apache-2.0
//
// The files that the tidy rules look at: their names relative to the repository, and their text. A rule is a
// function from such files to a list of complaints, so that a test can hand it a bad sample and see it complain.
// What is listed is what git knows or would add, so that nothing built or installed is looked at.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface SourceFile {
  /** Relative to the repository, with '/'. */
  readonly path: string
  readonly text: string
}

export const repository = join(dirname(fileURLToPath(import.meta.url)), '../..')

/** Every text file of the repository, whether added to git yet or not. */
export function repositoryFiles(): SourceFile[] {
  const listed = execFileSync(
    'git',
    ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    {
      cwd: repository,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    },
  )
  return [...new Set(listed.split('\0'))]
    .filter((path) => path !== '' && existsSync(join(repository, path)))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(repository, path), 'utf8') }))
}

export const isCpp = ({ path }: { path: string }): boolean => /\.(cc|h)$/.test(path)
export const isScript = ({ path }: { path: string }): boolean => /\.(ts|mjs)$/.test(path)

/** Line number, from 1, of an index into a text. */
export function lineAt(text: string, index: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < index; at = text.indexOf('\n', at + 1)) {
    line++
  }
  return line
}
