// SPDX-License-Identifier: Apache-2.0
//
// The job of another program in the QEMU of a random round: a backup or a mirror of the disk, or a commit somewhere
// in its chain. It is slow enough to be there until it is told to end.

import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { qemuImg } from '../qemu/qemu.js'
import { within } from '../random-live/pull.js'
import { rootName } from './nodes.js'
import type { Beside } from './recipe.js'
import type { GraphStage } from './stage.js'

const id = 'theirs'
const slow = 1 << 16

export class JobBeside {
  #hasBegun = false

  constructor(
    readonly stage: GraphStage,
    readonly beside: Beside,
  ) {}

  /** Begins it, unless QEMU refuses; nothing is promised to it. */
  async begin(): Promise<void> {
    const { stage, beside } = this
    const { client } = stage.machine
    const device = rootName(stage.recipe)
    try {
      if (beside.kind === 'commit') {
        // It waits to be finalized, so that a small one does not change the chain before its time.
        const job = { 'job-id': id, device, speed: slow, 'auto-finalize': false }
        await client.execute('block-commit', { ...job, ...this.#range() })
        stage.written.add(stage.paths[beside.into] ?? '')
      } else {
        await this.#addTarget()
        const job = { 'job-id': id, device, target: 'target', sync: 'full', speed: slow }
        await client.execute(`blockdev-${beside.kind}`, job)
      }
      this.#hasBegun = true
      stage.reasons.set('a job beside', /job/i)
      stage.note(`a ${beside.kind} begins`)
    } catch (error) {
      stage.note(`no ${beside.kind}: ${error instanceof Error ? error.message : error}`)
    }
  }

  /** Ends it as the recipe says. */
  async end(): Promise<void> {
    const { stage, beside } = this
    const { client } = stage.machine
    if (!this.#hasBegun || stage.machine.hasEnded) return
    stage.note(`the ${beside.kind}: ${beside.end}`)
    const there = (await stage.machine.jobs()).some((job) => job.id === id)
    if (!there) return
    if (beside.end === 'cancel') client.send('job-cancel', { id })
    else client.send('block-job-set-speed', { device: id, speed: 0 })
    await within(`the end of the ${beside.kind}`, this.#isGone())
    const { from, into } = beside
    if (beside.kind !== 'commit' || beside.end !== 'finish') return
    const dropped = new Set(stage.paths.slice(from, into))
    // Over a filter QEMU leaves the header of the layer above as it was.
    const before = stage.recipe.filters.some(({ place }) => place === 'between') ? stage.chains : []
    stage.chains = [...before, ...stage.chains.map((chain) => chain.filter((path) => !dropped.has(path)))]
    stage.hasWritten = true
  }

  async #isGone(): Promise<void> {
    const { client } = this.stage.machine
    for (;;) {
      const job = (await this.stage.machine.jobs()).find((any) => any.id === id)
      if (job === undefined) return
      if (job.status === 'pending') client.send('job-finalize', { id })
      if (job.status === 'ready') client.send('block-job-cancel', { device: id })
      await pause(20)
    }
  }

  /** The levels of a commit, by the names that the nodes have, or by file. */
  #range(): object {
    const { recipe, paths } = this.stage
    const { from, into } = this.beside
    const areNamed = recipe.isNamed && !recipe.byHeaders
    if (areNamed) return { ...(from > 0 && { 'top-node': `layer${from}` }), 'base-node': `layer${into}` }
    return { ...(from > 0 && { top: paths[from] }), base: paths[into] }
  }

  async #addTarget(): Promise<void> {
    const { folder, layers } = this.stage.images
    const path = join(folder, 'target')
    await qemuImg('create', '-q', '-f', 'qcow2', path, String(layers[0]?.size))
    const file = { driver: 'file', filename: path }
    await this.stage.machine.client.execute('blockdev-add', { driver: 'qcow2', 'node-name': 'target', file })
  }
}
