// SPDX-License-Identifier: Apache-2.0
//
// Somebody's project into which the packed package is installed: an empty folder, no compiler on PATH, no scripts run.
//
//     FOLDER/bin            all of PATH: node, sh, env
//     FOLDER/node_modules   what the package manager makes of the tarball
//     FOLDER/*.mjs          programs that import 'blockpull'

import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createImage } from '../../lib/index.js'
import { type Ended, run } from '../support/processes/run-program.js'
import type { TempFolder } from '../support/temp-folder.js'
import { npmFolder } from './tools.js'

/** Bytes that each pull of these tests moves. */
export const movedBytes = 8 << 20

/** The tarball, which `node scripts/test.mjs --package` packs and names. */
export function tarball(): string {
  const file = process.env['BLOCKPULL_TARBALL']
  if (file !== undefined && existsSync(file)) return file
  throw new Error(`BLOCKPULL_TARBALL is '${file}'; run these tests with 'node scripts/test.mjs --package'`)
}

export class Consumer {
  readonly folder: string
  /** The `node` on its PATH. */
  readonly node: string
  #images = 0

  /** `node` is the one that becomes its `node`. */
  constructor(temp: TempFolder, node = process.execPath) {
    this.folder = temp.folder('project')
    this.node = node
    mkdirSync(this.file('bin'))
    symlinkSync(node, this.file('bin/node'))
    for (const name of ['sh', 'env']) symlinkSync(join('/usr/bin', name), this.file(`bin/${name}`))
    writeFileSync(this.file('package.json'), '{ "name": "project", "private": true, "type": "module" }\n')
    copyFileSync(join(import.meta.dirname, 'pull-process.mjs'), this.file('pull-process.mjs'))
  }

  /** One that has installed the package with the npm at hand. */
  static async make(temp: TempFolder): Promise<Consumer> {
    const consumer = new Consumer(temp)
    const { code, stderr } = await consumer.npm('install', '--ignore-scripts', '--loglevel=error', tarball())
    if (code !== 0 || stderr !== '') throw new Error(`npm install ended with ${code}: ${stderr}`)
    return consumer
  }

  file(name: string): string {
    return join(this.folder, name)
  }

  /** Where the package lies. */
  get installed(): string {
    return this.file('node_modules/blockpull')
  }

  /** Runs a program in the folder, with the folder's own PATH. */
  async run(program: string, ...args: readonly string[]): Promise<Ended> {
    return await run(program, args, { cwd: this.folder, env: { PATH: this.file('bin') } })
  }

  async npm(...args: readonly string[]): Promise<Ended> {
    return await this.run(this.node, join(await npmFolder(), 'npm-cli.js'), ...args)
  }

  async npx(...args: readonly string[]): Promise<Ended> {
    return await this.run(this.node, join(await npmFolder(), 'npx-cli.js'), ...args)
  }

  /** An overlay on a raw base full of bytes; gives its name in the folder. */
  async overlay(): Promise<string> {
    const [base, name] = [`base-${this.#images}.img`, `overlay-${this.#images}.qcow2`]
    this.#images += 1
    writeFileSync(this.file(base), Buffer.alloc(movedBytes, 'blockpull'))
    await createImage(this.file(name), { backingFile: base, backingFormat: 'raw' })
    return name
  }
}
