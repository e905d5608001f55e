// SPDX-License-Identifier: Apache-2.0
//
// Judges a pull by what QEMU's tools say before and after it. Complaints are sentences; none means that all the
// promises held that can be seen from outside:
//
//     content      what a guest reads is what it read from the flattened copy made before
//     structure    qemu-img check finds no error and no leak (leaks only after a kill)
//     chain        no backing file, or exactly the base, by a name and a format with which QEMU finds it
//     layers       every file below the active one is as it was, byte for byte
//     allocation   no data where no intermediate layer had any, and no more of the disk than was pulled

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { check, difference, flatten, type ImageInfo, info, type MapEntry, map } from '../qemu/qemu.js'
import { bytesOnDisk, digestsOf } from './files.js'

/** A chain as the judge needs it, the active layer first. */
export interface JudgedChain {
  readonly folder: string
  readonly layers: readonly { readonly path: string; readonly format: string }[]
}

/** What was there before the pull. */
interface Before {
  readonly info: ImageInfo
  readonly map: readonly MapEntry[]
  /** Digests of the layers below the active one. */
  readonly lower: string
  /** Bytes of the disk that the active layer took. */
  readonly onDisk: number
  /** Virtual sizes, the active layer first. */
  readonly sizes: readonly number[]
}

export class Judge {
  readonly #chain: JudgedChain
  readonly #flat: string
  readonly #before: Before

  private constructor(chain: JudgedChain, flat: string, before: Before) {
    this.#chain = chain
    this.#flat = flat
    this.#before = before
  }

  /** Takes down everything about the chain before it is pulled. */
  static async watch(chain: JudgedChain): Promise<Judge> {
    const flat = join(chain.folder, 'before.raw')
    const active = activePath(chain)
    await flatten(active, flat)
    const before = {
      info: await info(active),
      map: await map(active),
      lower: digestsOf(lowerPaths(chain)),
      onDisk: bytesOnDisk(active),
      sizes: await virtualSizes(chain),
    }
    return new Judge(chain, flat, before)
  }

  /** What holds at any time, also half way through: content, structure, the layers below. */
  async complaintsMeanwhile(mayLeak = false): Promise<string[]> {
    const complaints: string[] = []
    const checked = await check(activePath(this.#chain))
    if (checked.code !== 0 && !(mayLeak && checked.code === 3)) complaints.push(checked.report)
    const differs = await difference(this.#flat, activePath(this.#chain))
    if (differs !== null) complaints.push(differs)
    if (digestsOf(lowerPaths(this.#chain)) !== this.#before.lower) complaints.push('a layer below has changed')
    return complaints
  }

  /** Everything, once a pull has completed; `base` is the index of the layer that stays, or null. */
  async complaints(base: number | null): Promise<string[]> {
    const after = await info(activePath(this.#chain))
    return [
      ...(await this.complaintsMeanwhile()),
      ...(await this.#chainComplaints(after, base)),
      ...featureComplaints(this.#before.info, after),
      ...(await this.#allocationComplaints(base)),
    ]
  }

  async #chainComplaints(after: ImageInfo, base: number | null): Promise<string[]> {
    const kept = base === null ? undefined : this.#chain.layers[base]
    if (kept === undefined) {
      const name = after['backing-filename']
      return name === undefined ? [] : [`there still is the backing file '${name}'`]
    }
    const complaints: string[] = []
    const format = after['backing-filename-format']
    if (format !== kept.format) complaints.push(`the base is '${kept.format}', the header says '${format}'`)
    const found = after['full-backing-filename']
    if (found === undefined || statSync(found).ino !== statSync(kept.path).ino)
      complaints.push(`the base is '${kept.path}', the header leads to '${found}'`)
    return complaints
  }

  async #allocationComplaints(base: number | null): Promise<string[]> {
    const clusterSize = this.#before.info['cluster-size'] ?? 65536
    const unit = this.#before.info['format-specific']?.data['extended-l2'] === true ? clusterSize / 32 : clusterSize
    const merged = (base ?? this.#chain.layers.length) - 1
    const version2 = this.#before.info['format-specific']?.data['compat'] === '0.10'
    const hadData = ownData(this.#before.map)
    const addedTo = new Set<number>()
    let unwanted = 0
    let firstUnwanted = -1
    for (const { start, length } of ownDataRuns(await map(activePath(this.#chain)))) {
      for (let at = start - (start % unit); at < start + length; at += unit) {
        if (hadData(at, unit)) continue
        addedTo.add(Math.floor(at / clusterSize))
        const isExcused = base !== null && version2
        if (isExcused || mayHoldData(this.#before, at, unit, merged, base !== null)) continue
        unwanted += 1
        if (firstUnwanted < 0) firstUnwanted = at
      }
    }
    const complaints: string[] = []
    if (unwanted > 0) {
      const what = unit < clusterSize ? 'subclusters' : 'clusters'
      complaints.push(
        `${unwanted} ${what} hold data that no intermediate layer had, the first at guest offset ${firstUnwanted}`,
      )
    }
    const added = addedTo.size
    const bound = this.#before.onDisk + added * clusterSize + this.#overhead(added, clusterSize)
    const onDisk = bytesOnDisk(activePath(this.#chain))
    if (onDisk > bound) {
      const growth = `the image takes ${onDisk} bytes of the disk, ${this.#before.onDisk} before`
      complaints.push(`${growth}; ${added} clusters of ${clusterSize} bytes were added, at most ${bound} are due`)
    }
    return complaints
  }

  /** Room for tables: an L2 table for each cluster added, at the most all of them, refcounts, tables outgrown. */
  #overhead(added: number, clusterSize: number): number {
    const virtualClusters = Math.ceil(this.#before.info['virtual-size'] / clusterSize)
    const tables = Math.min(added, Math.ceil(virtualClusters / (clusterSize / 8)))
    const bits = Number(this.#before.info['format-specific']?.data['refcount-bits'] ?? 16)
    const perBlock = (clusterSize * 8) / bits
    const blocks = Math.ceil((added + tables) / perBlock) + 1
    const refcountTable = 2 * Math.ceil((virtualClusters * 2) / perBlock / (clusterSize / 8)) + 1
    return 1.5 * (tables + blocks + refcountTable) * clusterSize + 32768
  }
}

function activePath(chain: JudgedChain): string {
  const [active] = chain.layers
  if (active === undefined) throw new Error('a chain without layers')
  return active.path
}

function lowerPaths(chain: JudgedChain): string[] {
  return chain.layers.slice(1).map(({ path }) => path)
}

/** What a pull must leave as it is. */
function featureComplaints(before: ImageInfo, after: ImageInfo): string[] {
  const facts = (about: ImageInfo) =>
    JSON.stringify([about['virtual-size'], about['cluster-size'], about['format-specific']?.data])
  return facts(before) === facts(after) ? [] : [`the image was ${facts(before)} and is ${facts(after)}`]
}

function ownDataRuns(entries: readonly MapEntry[]): MapEntry[] {
  return entries.filter(({ depth, data }) => depth === 0 && data)
}

/** Whether the active layer itself had data in a range. */
function ownData(entries: readonly MapEntry[]): (start: number, length: number) => boolean {
  const runs = ownDataRuns(entries)
  return (start, length) => runs.some((run) => run.start < start + length && start < run.start + run.length)
}

async function virtualSizes(chain: JudgedChain): Promise<number[]> {
  const sizes: number[] = []
  for (const { path, format } of chain.layers) sizes.push((await info(path, format))['virtual-size'])
  return sizes
}

/**
 * Whether a cluster may hold data after the pull: some intermediate layer had data in it, or, where a base stays, said
 * zero for a part of it, or ended in it, while something else can be read in the rest.
 */
function mayHoldData(before: Before, start: number, length: number, merged: number, hasBase: boolean): boolean {
  const parts = before.map.filter((entry) => entry.start < start + length && start < entry.start + entry.length)
  const ofMerged = parts.filter(({ depth }) => depth >= 1 && depth <= merged)
  if (ofMerged.some(({ data }) => data)) return true
  const endsInside = before.sizes.slice(1, merged + 1).some((size) => size < start + length)
  return hasBase && (ofMerged.length > 0 || endsInside) && parts.some(({ zero }) => !zero)
}
