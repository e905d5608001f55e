// SPDX-License-Identifier: Apache-2.0
//
// An image whose pull is killed again and again: made by the builder, which is quick, in a random shape, with
// what a guest reads from it written down beside. After each death it must open, be free of corruption and read
// the same; after a pull that was left alone it must be clean.

import type { Puller } from '../processes/puller.js'
import { qemuImg, qemuIo, untilUnlocked } from '../qemu/qemu.js'
import type { Random } from '../random.js'
import { Judge } from './pull-verdict.js'
import type { ClusterContent, Qcow2Options } from './qcow2-builder.mjs'
import { writeQcow2 } from './qcow2-builder.mjs'

export class Victim {
  readonly path: string
  readonly #judge: Judge
  readonly #random: Random
  /** What was done to it, for a failure to tell. */
  readonly story: string[]
  /** Milliseconds within which a kill is likely to meet a pull that runs; learnt by doing. */
  #window = 5

  private constructor(path: string, judge: Judge, random: Random, story: string[]) {
    this.path = path
    this.#judge = judge
    this.#random = random
    this.story = story
  }

  static async make(random: Random, folder: string): Promise<Victim> {
    const path = `${folder}/top`
    const size = 65536 * random.scaled(16, 160)
    const raw = random.chance(0.5)
    await qemuImg('create', '-q', '-f', raw ? 'raw' : 'qcow2', `${folder}/base`, String(size))
    // Pages of zeros in its data: a slow pull leaves them out, also inside a cluster.
    const zeros = Array.from({ length: 8 }, () => `write -P 0 ${4096 * random.below(size / 4096 - 8)} 4k`)
    await qemuIo(`${folder}/base`, raw ? 'raw' : 'qcow2', `write -P 9 0 ${size - 65536}`, ...zeros)
    const shape = chooseShape(random, size)
    writeQcow2(path, { ...shape, backingFile: 'base', backingFormat: raw ? 'raw' : 'qcow2' })
    const layers = [
      { path, format: 'qcow2' },
      { path: `${folder}/base`, format: raw ? 'raw' : 'qcow2' },
    ]
    const { version, clusterBits, refcountBits } = shape
    const story = [JSON.stringify({ size, raw, version, clusterBits, refcountBits })]
    return new Victim(path, await Judge.watch({ folder, layers }), random, story)
  }

  /** Pulls in a process that is killed at a random moment; true if the pull was still running then. */
  async killPull(puller: Puller): Promise<boolean> {
    const isLimited = this.#random.chance(0.3)
    const bytesPerSecond = isLimited ? this.#random.scaled(131072, 268435456) : 0
    // A limited one lives longer, and long enough to be between two strips of a cluster.
    const killAfterMs = (this.#random.below(1000) / 1000) * this.#window * (isLimited ? 10 : 1)
    const options = isLimited ? { bytesPerSecond } : {}
    const report = await puller.pull({ path: this.path, options, killAfterMs }).catch(() => null)
    await puller.kill()
    await untilUnlocked(this.path)
    const died = report === null
    if (!isLimited) this.#window = died ? this.#window * 1.1 : Math.max(0.2, Math.min(this.#window, killAfterMs))
    this.story.push(JSON.stringify({ bytesPerSecond, killAfterMs, died, report }))
    return died
  }

  /** What is wrong after a death. */
  complaintsAfterDeath(): Promise<string[]> {
    return this.#judge.complaintsMeanwhile(true)
  }

  /** Pulls to the end; what is wrong with the result. */
  async finish(puller: Puller): Promise<string[]> {
    const report = await puller.pull({ path: this.path })
    this.story.push(JSON.stringify(report))
    return report.state === 'completed' ? await this.#judge.complaints(null) : [JSON.stringify(report)]
  }
}

/** A small image in any shape that can be written: some data of its own, some leaks that a crash left before. */
function chooseShape(random: Random, size: number) {
  const clusterBits = random.pick([9, 10, 12, 14, 16, 16, 18])
  const version = random.chance(0.25) ? 2 : 3
  const refcountBits = version === 2 ? 16 : random.pick([1, 4, 16, 16, 64])
  const clusters = new Map<number, ClusterContent>()
  const count = Math.floor(size / 2 ** clusterBits)
  for (let left = random.below(12); left > 0 && count > 0; left--) {
    const data = Buffer.alloc(2 ** clusterBits, left)
    clusters.set(random.below(count), version === 3 && random.chance(0.2) ? { zeroAllocated: true } : { data })
  }
  const leakedClusters = random.chance(0.3) ? random.between(1, 9) : 0
  return { size, clusterBits, version, refcountBits, clusters, leakedClusters } satisfies Qcow2Options
}
