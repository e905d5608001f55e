// SPDX-License-Identifier: Apache-2.0
//
// Starts peer-process.mjs and ends it: a thousand peers that cost the test's own process nothing.

import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** @typedef {import('./types.js').PeerProcessOptions} PeerProcessOptions */

export class PeerProcess {
  #child

  /** @param {PeerProcessOptions} options */
  constructor(options) {
    const script = join(import.meta.dirname, 'peer-process.mjs')
    this.#child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.ended = new Promise((resolve) => this.#child.once('close', () => resolve(undefined)))
    this.paths = Array.from({ length: options.count }, (_, index) => join(options.folder, `vm${index}.qmp`))
  }

  /** Resolves once all peers listen. @param {PeerProcessOptions} options */
  static async start(options) {
    const peers = new PeerProcess(options)
    await new Promise((resolve, reject) => {
      peers.#child.stdout.once('data', resolve)
      peers.#child.once('close', (code) => reject(new Error(`the process of peers ended with ${code} at its start`)))
    })
    return peers
  }

  get pid() {
    return this.#child.pid ?? 0
  }

  /** Lets the peers end, and waits for it. */
  async stop() {
    this.#child.stdin.end()
    await this.ended
  }

  /** Dies with all of its peers; their sockets' files stay. */
  async kill() {
    this.#child.kill('SIGKILL')
    await this.ended
  }
}
