// SPDX-License-Identifier: Apache-2.0
//
// A folder of its own for each test file, in the folder of the run (run-folder.ts), gone afterwards. What a failed
// test wants to be looked at is kept: its sub-folder is moved out, and the failure names where it lies.

import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { keptName } from './run-folder.js'

export class TempFolder {
  readonly path: string
  #count = 0

  constructor(name: string, above = realpathSync(tmpdir())) {
    this.path = mkdtempSync(join(above, `${name}-`))
  }

  /** The path of a file in it. */
  file(name: string): string {
    return join(this.path, name)
  }

  /** A fresh folder inside. */
  folder(name = 'case'): string {
    const path = join(this.path, `${name}-${this.#count++}`)
    mkdirSync(path)
    return path
  }

  /** Moves one of the folders inside to where no end of a test or of a run removes it; gives the new path. */
  keep(folder: string): string {
    const kept = join(dirname(this.path), keptName(`${basename(this.path)}-${basename(folder)}`))
    renameSync(folder, kept)
    return kept
  }

  /** Removes one of the folders inside. */
  discard(folder: string): void {
    rmSync(folder, { recursive: true, force: true })
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}
