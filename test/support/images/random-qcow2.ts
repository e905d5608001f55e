// SPDX-License-Identifier: Apache-2.0
//
// Random qcow2 images as QEMU's tools make them: any cluster size and refcount width, snapshots, bitmaps, compressed
// clusters, subclusters, resizes. An image goes through several steps, and each leaves a state to be checked.

import { run, runWell } from '../processes/run-program.js'
import { tryQemuIo } from '../qemu/qemu.js'
import type { Random } from '../random.js'

export class RandomQcow2 {
  readonly path: string
  readonly clusterSize: number
  readonly isVersion2: boolean
  #size: number
  readonly #random: Random
  #snapshots = 0
  #bitmaps = 0

  private constructor(path: string, random: Random) {
    this.path = path
    this.#random = random
    this.isVersion2 = random.chance(0.15)
    this.clusterSize = 2 ** random.pick([9, 9, 10, 12, 12, 14, 14, 16, 16, 16, 18])
    const clusters = random.between(1, this.clusterSize < 4096 ? 400 : 40)
    this.#size = Math.max(512, clusters * this.clusterSize - (random.chance(0.3) ? 512 * random.below(8) : 0))
  }

  static async create(path: string, random: Random): Promise<RandomQcow2> {
    const image = new RandomQcow2(path, random)
    await runWell('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', image.#options(), path, String(image.#size)])
    return image
  }

  #options(): string {
    const options = [`cluster_size=${this.clusterSize}`, `compat=${this.isVersion2 ? '0.10' : '1.1'}`]
    const hasSubclusters = !this.isVersion2 && this.clusterSize >= 16384 && this.#random.chance(0.5)
    if (!this.isVersion2) options.push(`refcount_bits=${this.#random.pick([1, 2, 4, 8, 16, 16, 16, 32, 64])}`)
    if (hasSubclusters) options.push('extended_l2=on')
    if (!this.isVersion2 && this.#random.chance(0.2)) options.push('compression_type=zstd')
    if (!this.isVersion2 && this.#random.chance(0.1)) options.push('lazy_refcounts=on')
    if (!hasSubclusters && this.#random.chance(0.1)) options.push('preallocation=metadata')
    return options.join(',')
  }

  /** Some writes, and perhaps a snapshot, a bitmap or a resize. What the image cannot take is left out. */
  async step(): Promise<void> {
    const writes = Array.from({ length: this.#random.between(1, 6) }, () => this.#write())
    await tryQemuIo(this.path, 'qcow2', ...writes)
    const change = this.#change()
    if (change !== null) await run('qemu-img', change)
  }

  #write(): string {
    const random = this.#random
    if (random.chance(0.2)) {
      const offset = random.below(Math.ceil(this.#size / this.clusterSize)) * this.clusterSize
      return `write -c -P 3 ${offset} ${Math.min(this.clusterSize, this.#size - offset)}`
    }
    const offset = 512 * random.below(this.#size / 512)
    const length = Math.min(this.#size - offset, 512 * random.between(1, Math.ceil((3 * this.clusterSize) / 512)))
    return `${random.pick(['write -P 7', 'write -P 9', 'write -z', 'discard'])} ${offset} ${length}`
  }

  #change(): string[] | null {
    const random = this.#random
    const last = `s${this.#snapshots - 1}`
    const draw = random.below(20)
    if (draw < 7) return ['snapshot', '-c', `s${this.#snapshots++}`, this.path]
    if (draw < 11 && this.#snapshots > 0) return ['snapshot', draw < 9 ? '-a' : '-d', last, this.path]
    if (draw < 14 && !this.isVersion2) return ['bitmap', '--add', this.path, `b${this.#bitmaps++}`]
    if (draw < 16) {
      this.#size += this.clusterSize
      return ['resize', '-q', '-f', 'qcow2', this.path, String(this.#size)]
    }
    return null
  }
}
