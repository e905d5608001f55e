// SPDX-License-Identifier: Apache-2.0
//
// Small filesystems to run out of: a tmpfs of a given size, and an ext4 in a file on one, whose disk can be full
// although the filesystem believes it has space. Mounting needs root; without it the test fails and says so.

import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesOnDisk } from '../images/files.js'
import { asRoot } from './command.js'
import { runWell } from './run-program.js'

export class Tmpfs {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** Mounts one below `folder`; `size` is as mount takes it, '8m' for example. */
  static async mount(folder: string, size: string): Promise<Tmpfs> {
    const path = join(folder, 'tmpfs')
    mkdirSync(path)
    await asRoot('mount', '-t', 'tmpfs', '-o', `size=${size},mode=777`, 'blockpull-test', path)
    return new Tmpfs(path)
  }

  async resize(size: string): Promise<void> {
    await asRoot('mount', '-o', `remount,size=${size}`, this.path)
  }

  async setReadOnly(): Promise<void> {
    await asRoot('mount', '-o', 'remount,ro', this.path)
  }

  async unmount(): Promise<void> {
    await asRoot('umount', this.path)
  }
}

/** An ext4 in a sparse file on a tmpfs. Without a journal, so that a write that fails does not end the filesystem. */
export class ThinExt4 {
  readonly path: string
  readonly #tmpfs: Tmpfs
  readonly #image: string
  readonly #ballast: string

  private constructor(folder: string, tmpfs: Tmpfs) {
    this.path = join(folder, 'ext4')
    this.#tmpfs = tmpfs
    this.#image = join(tmpfs.path, 'disk')
    this.#ballast = join(tmpfs.path, 'ballast')
  }

  static async mount(folder: string): Promise<ThinExt4> {
    const thin = new ThinExt4(folder, await Tmpfs.mount(folder, '64m'))
    mkdirSync(thin.path)
    writeFileSync(thin.#image, '')
    truncateSync(thin.#image, 64 * 1048576)
    const options = ['-O', '^has_journal', '-E', 'lazy_itable_init=0,root_owner']
    await runWell('mkfs.ext4', ['-q', '-F', ...options, thin.#image])
    await thin.#attach()
    return thin
  }

  /** Leaves the disk below the filesystem room for so many bytes more than it has now. */
  async fill(bytesLeft: number): Promise<void> {
    await asRoot('sync', '-f', this.path)
    const ballast = 64 * 1048576 - bytesOnDisk(this.#image) - bytesLeft
    await runWell('fallocate', ['-l', String(ballast), this.#ballast])
  }

  /** Gives the disk all its room again, and shows what it holds rather than what memory remembers. */
  async empty(): Promise<void> {
    rmSync(this.#ballast)
    await asRoot('umount', this.path)
    await this.#attach()
  }

  async unmount(): Promise<void> {
    await asRoot('umount', this.path)
    await this.#tmpfs.unmount()
  }

  async #attach(): Promise<void> {
    await asRoot('mount', '-o', 'loop', this.#image, this.path)
  }
}
