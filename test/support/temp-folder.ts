// SPDX-License-Identifier: Apache-2.0
//
// A folder of its own for each test file, gone afterwards. What a failed test wants to be looked at is kept: its
// sub-folder is moved out, and the failure names where it lies.

import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

export class TempFolder {
  readonly path: string
  #count = 0

  constructor(name: string) {
    this.path = mkdtempSync(join(realpathSync(tmpdir()), `blockpull-${name}-`))
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

  /** Moves one of the folders inside to where remove() does not reach; gives the new path. */
  keep(folder: string): string {
    const kept = `${this.path}-kept-${basename(folder)}`
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
