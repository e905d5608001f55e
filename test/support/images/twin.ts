// SPDX-License-Identifier: Apache-2.0
//
// A copy of the active image that nobody pulls, over the same layers. Whatever QEMU does later to both must give the
// same disk, and leave the pulled image sound.

import { copyFileSync } from 'node:fs'
import { run } from '../processes/run-program.js'
import { check, compressedClusters, info, qemuImg, tryQemuIo } from '../qemu/qemu.js'
import type { Random } from '../random.js'
import type { JudgedChain } from './pull-verdict.js'

export class Twin {
  readonly #pulled: string
  readonly #path: string

  private constructor(pulled: string) {
    this.#pulled = pulled
    this.#path = `${pulled}-twin`
    copyFileSync(pulled, this.#path)
  }

  /** To be made before the pull. */
  static of(chain: JudgedChain): Twin {
    const [active] = chain.layers
    if (active === undefined) throw new Error('a chain without layers')
    return new Twin(active.path)
  }

  /**
   * Writes to both, lets both grow, and writes again. What a compressed last cluster holds behind the end of the disk
   * stays, which a pull warns of, so such an image does not grow here.
   */
  async complaints(random: Random): Promise<string[]> {
    const size = (await info(this.#pulled))['virtual-size']
    const grown = size + 512 * random.scaled(1, 1024)
    const complaints = await this.#live(random, size)
    if ((await compressedClusters(this.#pulled)) > 0) return complaints
    for (const path of [this.#pulled, this.#path]) await qemuImg('resize', '-q', '-f', 'qcow2', path, String(grown))
    return [...complaints, ...(await this.#live(random, grown))]
  }

  async #live(random: Random, size: number): Promise<string[]> {
    const commands = Array.from({ length: random.between(1, 5) }, () => write(random, size))
    for (const path of [this.#pulled, this.#path]) await tryQemuIo(path, 'qcow2', ...commands)
    const { code, report } = await check(this.#pulled)
    const compared = await run('qemu-img', ['compare', '-f', 'qcow2', '-F', 'qcow2', this.#path, this.#pulled])
    const complaints: string[] = []
    if (code !== 0) complaints.push(`after ${commands.join('; ')}: ${report}`)
    if (compared.code !== 0) complaints.push(`its twin differs after ${commands.join('; ')}: ${compared.stdout}`)
    return complaints
  }
}

function write(random: Random, size: number): string {
  const offset = 512 * random.below(size / 512)
  const length = Math.min(size - offset, 512 * random.scaled(1, 512))
  return `${random.pick(['write -P 7', 'write -P 9', 'write -P 0', 'write -z', 'write -z -u'])} ${offset} ${length}`
}
