// SPDX-License-Identifier: Apache-2.0
//
// A random overlay whose disk has several states, the active one and internal snapshots, and what each of them reads.
// QEMU's tools make and read it. `twin()` is a copy that nobody has pulled: whatever QEMU does later to both must give
// the same.
//
//     base ◀─ mid (perhaps) ◀─ top: writes, snapshot, writes, snapshot, revert, writes, …

import { createHash } from 'node:crypto'
import { copyFileSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { run, runWell } from '../processes/run-program.js'
import { tryQemuIo } from '../qemu/qemu.js'
import type { Random } from '../random.js'

/** The same for an image and its twin. */
interface Shape {
  readonly size: number
  readonly clusterSize: number
  readonly isVersion2: boolean
}

export class DiskStates {
  readonly top: string
  /** The layers below, top first. */
  readonly below: readonly string[]
  readonly #shape: Shape
  #snapshots = 0

  private constructor(top: string, below: readonly string[], shape: Shape) {
    this.top = top
    this.below = below
    this.#shape = shape
  }

  static async create(folder: string, random: Random): Promise<DiskStates> {
    const isVersion2 = random.chance(0.2)
    const clusterSize = 2 ** random.pick([9, 9, 10, 12, 12, 14, 16, 16])
    const clusters = random.between(1, clusterSize < 4096 ? 600 : 60)
    const size = clusters * clusterSize - (random.chance(0.5) ? 512 * random.below(clusterSize / 512) : 0)
    const shape = { size, clusterSize, isVersion2 }
    const base = join(folder, 'base')
    const baseFormat = random.pick(['raw', 'qcow2'])
    const baseSize = Math.max(512, size + clusterSize * random.between(-2, 6))
    await runWell('qemu-img', ['create', '-q', '-f', baseFormat, base, String(baseSize)])
    await tryQemuIo(base, baseFormat, ...writes(random, { ...shape, size: baseSize }, 5, 0x10))
    const below = [base]
    if (random.chance(0.5)) {
      const mid = join(folder, 'mid.qcow2')
      await create(mid, base, baseFormat, size + clusterSize * random.between(0, 3), `cluster_size=${clusterSize}`)
      await tryQemuIo(mid, 'qcow2', ...writes(random, shape, 4, 0x20))
      below.unshift(mid)
    }
    const top = join(folder, 'top.qcow2')
    const version = isVersion2 ? 'compat=0.10' : `compat=1.1,refcount_bits=${random.pick([8, 16, 16, 16, 32, 64])}`
    const format = below.length > 1 ? 'qcow2' : baseFormat
    await create(top, below[0] as string, format, size, `cluster_size=${clusterSize},${version}`)
    const states = new DiskStates(top, below, shape)
    for (let step = random.between(2, 6); step > 0; --step) {
      await tryQemuIo(top, 'qcow2', ...writes(random, shape, 3, 0x40))
      if (random.chance(0.7)) await states.#change(random)
    }
    if (!isVersion2 && random.chance(0.15)) await runWell('qemu-img', ['bitmap', '--add', top, 'b0'])
    return states
  }

  /** A copy of the top layer, over the same layers. */
  twin(): DiskStates {
    const twin = join(dirname(this.top), 'twin.qcow2')
    copyFileSync(this.top, twin)
    const copy = new DiskStates(twin, this.below, this.#shape)
    copy.#snapshots = this.#snapshots
    return copy
  }

  /** Writes, snapshots, reverts and deletes by QEMU. Gives what its tools answered. */
  async liveOn(random: Random, steps: number): Promise<string[]> {
    const answers: string[] = []
    for (let step = 0; step < steps; ++step) {
      // Version 2 can discard only what has no backing file.
      const { code } = await tryQemuIo(this.top, 'qcow2', ...writes(random, this.#shape, 3, 0x80, false))
      answers.push(`writes ${code}`, `${await this.#change(random)} ${(await this.check()).split('\n')[0]}`)
    }
    return answers
  }

  /** A line for each state, with the digest of what it reads. */
  async digests(): Promise<string[]> {
    const names = await this.snapshotNames()
    const digests = [`active ${await this.#digest(null)}`]
    for (const name of names) digests.push(`${name} ${await this.#digest(name)}`)
    return digests
  }

  async snapshotNames(): Promise<string[]> {
    const list = await runWell('qemu-img', ['info', '--output=json', '-U', this.top])
    const { snapshots = [] } = JSON.parse(list) as { snapshots?: { name: string }[] }
    return snapshots.map(({ name }) => name)
  }

  /** 'exit 0' of `qemu-img check`, or its report. */
  async check(): Promise<string> {
    const { code, stdout, stderr } = await run('qemu-img', ['check', this.top])
    return code === 0 ? 'exit 0' : `exit ${code}\n${stdout}${stderr}`
  }

  async #change(random: Random): Promise<string> {
    const names = await this.snapshotNames()
    const draw = random.below(10)
    const some = names[random.below(Math.max(1, names.length))]
    const change =
      draw < 5 || some === undefined ? ['-c', `s${this.#snapshots++}`] : draw < 8 ? ['-a', some] : ['-d', some]
    const { code } = await run('qemu-img', ['snapshot', ...change, this.top])
    return `${change.join(' ')} ${code}`
  }

  async #digest(snapshot: string | null): Promise<string> {
    const copy = join(dirname(this.top), `copy-${basename(this.top)}`)
    const raw = `${copy}.raw`
    copyFileSync(this.top, copy)
    // QEMU refuses to revert an image that has a bitmap.
    const hasReverted = snapshot !== null && (await run('qemu-img', ['snapshot', '-a', snapshot, copy])).code === 0
    const source = snapshot !== null && !hasReverted ? ['-l', `snapshot.name=${snapshot}`] : []
    await runWell('qemu-img', ['convert', '-f', 'qcow2', ...source, '-O', 'raw', copy, raw])
    const digest = createHash('sha256').update(readFileSync(raw)).digest('hex').slice(0, 16)
    rmSync(copy)
    rmSync(raw)
    return digest
  }
}

async function create(path: string, backing: string, format: string, size: number, options: string): Promise<void> {
  await runWell('qemu-img', [
    'create',
    '-q',
    '-f',
    'qcow2',
    '-b',
    backing,
    '-F',
    format,
    '-o',
    options,
    path,
    `${size}`,
  ])
}

/** Up to `most` commands for qemu-io; what they write begins with the pattern `first`. */
function writes(
  random: Random,
  { size, clusterSize, isVersion2 }: Shape,
  most: number,
  first: number,
  discards = true,
) {
  return Array.from({ length: random.between(1, most) }, () => {
    const unit = random.pick([512, clusterSize])
    const start = Math.min(size - 512, unit * random.below(Math.ceil(size / unit)))
    const length = Math.min(size - start, unit * random.between(1, random.pick([1, 4, 40])))
    const pattern = first + random.below(16)
    const kinds = [`write -P ${pattern}`, `write -P ${pattern}`, 'write -z', `write -P ${pattern}`] as const
    const discard = isVersion2 || !discards ? 'write -P 5' : 'discard'
    return `${random.pick([...kinds, discard])} ${start} ${length}`
  })
}
