// SPDX-License-Identifier: Apache-2.0
//
// The real files behind the disks of a peer, where they have any: held open as QEMU holds them, filled when a stream
// has gone over all of it, and with another header when it is finalized. qemu-io and qemu-img do the work, on a copy
// beside the file; what differs is then written into the file itself, so that nobody sees it half done.
//
// What is done can be told to be wrong: see FileLie in types.ts.

import { execFileSync } from 'node:child_process'
import { closeSync, copyFileSync, existsSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { readQcow2Options } from '../support/images/qcow2-header.mjs'
import { isFilter } from './block-graph.mjs'
import { QmpFailure } from './qmp-failure.mjs'

/** @typedef {import('./block-graph.mjs').BlockGraph} BlockGraph */
/** @typedef {import('./block-graph.mjs').BlockNode} BlockNode */
/** @typedef {import('./types.js').DiskDescription} DiskDescription */
/** @typedef {import('./types.js').FileLie} FileLie */

/** Bytes that are compared and written at a time; tables and clusters begin and end at a multiple. */
const step = 512

/** Bits of an entry of the L1 table that say where the L2 table is. */
const offsetBits = 0x00ff_ffff_ffff_fe00n

export class ImageFiles {
  #lie
  #graph
  /** Of those that are held. @type {Map<BlockNode, number>} */
  #descriptors = new Map()
  /** Since the copy was made. */
  #flushes = 0
  /** Writes the tables that were kept back. @type {(() => void) | undefined} */
  #later

  /** @param {readonly DiskDescription[]} disks @param {FileLie} lie @param {BlockGraph} graph */
  constructor(disks, lie, graph) {
    this.#lie = lie
    this.#graph = graph
    const held = new Set(disks.filter(({ files }) => files === 'held').flatMap(({ nodes }) => nodes))
    for (const node of graph.nodes) {
      if (node.path === undefined || node.image === undefined || !held.has(node.image)) continue
      this.#descriptors.set(node, openSync(node.path, node.isReadOnly ? 'r' : 'r+'))
    }
  }

  close() {
    for (const node of [...this.#descriptors.keys()]) this.drop(node)
  }

  /** QEMU closes the image. @param {BlockNode} node */
  drop(node) {
    const descriptor = this.#descriptors.get(node)
    if (descriptor !== undefined) closeSync(descriptor)
    this.#descriptors.delete(node)
  }

  /** Copies into the first of these images what those below it have. @param {readonly BlockNode[]} touched */
  fill(touched) {
    const images = touched.filter((node) => !isFilter(node))
    const first = this.#lie.fills === undefined ? 0 : images.findIndex(({ name }) => name === this.#lie.fills)
    const [top, ...layers] = images.slice(first)
    const bottom = layers.at(-1)
    if (top?.path === undefined || bottom === undefined || this.#lie.skipsWrites) return
    /** @param {string} copy */
    const fill = (copy) => {
      const [lowest, ...others] = layers.toReversed()
      const chain = others.reduce(
        (under, layer) => open(layer, { backing: under }),
        open(lowest, { 'node-name': 'bottom' }),
      )
      const filled = open({ ...top, path: copy }, { backing: chain })
      const options = { driver: 'copy-on-read', bottom: 'bottom', file: filled }
      execFileSync('qemu-io', ['-c', `read 0 ${top.size}`, `json:${JSON.stringify(options)}`])
    }
    if (this.#lie.flushesUntilEntries === undefined) change(top.path, fill)
    else this.#changeInTwo(top.path, fill)
  }

  /** Writes into the image's header what is now below it. @param {BlockNode} top */
  state(top) {
    const { header, fills } = this.#lie
    const changed = fills === undefined ? top : this.#graph.named(fills)
    if (changed?.path === undefined || header === 'unchanged') return
    const stated = header?.states ?? top.backingFilename
    const format = top.backing?.driver ?? 'qcow2'
    change(changed.path, (copy) => {
      const backing = stated === undefined ? ['-b', ''] : ['-b', stated, '-F', format]
      execFileSync('qemu-img', ['rebase', '-u', '-f', changed.driver, ...backing, copy])
    })
  }

  flush() {
    if (this.#later === undefined || ++this.#flushes < (this.#lie.flushesUntilEntries ?? 0)) return
    this.#later()
    this.#later = undefined
  }

  /** What a node that is opened on this file finds there. @param {string} filename as QEMU is told it
   * @returns {{ virtualSize: number, backingFilename: string | null }} */
  headerOf(filename) {
    const node = this.#graph.nodes.find((other) => other.filename === filename && other.image !== undefined)
    if (node?.path === undefined) {
      return { virtualSize: node?.size ?? 0, backingFilename: node?.backingFilename ?? null }
    }
    if (!existsSync(node.path)) throw new QmpFailure(`Could not open '${filename}': No such file or directory`)
    const { size, backingFile } = readQcow2Options(node.path)
    return { virtualSize: size, backingFilename: backingFile ?? null }
  }

  /** Writes what is data now, and what leads to it when so many flushes were answered.
   * @param {string} path @param {(copy: string) => void} change */
  #changeInTwo(path, change) {
    const after = contentOfChanged(path, change)
    const isOfTable = placesOfTables(after)
    writeDifference(path, after, (at) => !isOfTable(at))
    this.#later = () => writeDifference(path, after, isOfTable)
  }
}

/** @param {string} path @param {(copy: string) => void} change */
function change(path, change) {
  writeDifference(path, contentOfChanged(path, change), () => true)
}

/** @param {string} path @param {(copy: string) => void} change */
function contentOfChanged(path, change) {
  const copy = `${path}.copy`
  copyFileSync(path, copy)
  try {
    change(copy)
    return readFileSync(copy)
  } finally {
    rmSync(copy)
  }
}

/** Options that open an image for qemu-io. @param {BlockNode | undefined} node @param {object} more */
function open(node, more) {
  return { driver: node?.driver, file: { driver: 'file', filename: node?.path }, ...more }
}

/** @param {string} path @param {Buffer} content @param {(at: number) => boolean} isMeant */
function writeDifference(path, content, isMeant) {
  const before = readFileSync(path)
  const file = openSync(path, 'r+')
  try {
    for (let at = 0; at < content.length; at += step) {
      const piece = content.subarray(at, at + step)
      if (isMeant(at) && !piece.equals(before.subarray(at, at + step))) writeSync(file, piece, 0, piece.length, at)
    }
  } finally {
    closeSync(file)
  }
}

/** Where the L1 table of this image and its L2 tables are. @param {Buffer} image @returns {(at: number) => boolean} */
function placesOfTables(image) {
  const clusterBytes = 2 ** image.readUInt32BE(20)
  const tableAt = Number(image.readBigUInt64BE(40))
  const clusters = new Set([tableAt / clusterBytes])
  for (let index = 0; index < image.readUInt32BE(36); index++) {
    clusters.add(Number(image.readBigUInt64BE(tableAt + 8 * index) & offsetBits) / clusterBytes)
  }
  clusters.delete(0)
  return (at) => clusters.has(Math.floor(at / clusterBytes))
}
