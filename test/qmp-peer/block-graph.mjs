// SPDX-License-Identifier: Apache-2.0
//
// The block nodes of the modelled QEMU, and what its commands change in them; block-answers.mjs tells of them. Each
// image of a chain is two nodes, its format over its file, as QEMU opens it:
//
//     vda -> [n0 qcow2] --backing--> [n1 qcow2] --backing--> [n2 qcow2]
//               | file                  | file                  | file
//            [#block1]               [#block3]               [#block5]
//
// Filters stand over an image, and have it as their file. While a stream runs, QEMU 6.0 and later put one over the
// top, under whatever used that.

import { QmpFailure } from './qmp-failure.mjs'

/** @typedef {import('./types.js').DiskDescription} DiskDescription */
/** @typedef {import('./types.js').FilterDescription} FilterDescription */
/** @typedef {import('./types.js').NodeDescription} NodeDescription */

/**
 * @typedef {object} BlockNode
 * @property {string} name
 * @property {string} driver
 * @property {string} filename of what is no filter
 * @property {number} size virtual size
 * @property {boolean} isReadOnly
 * @property {boolean} isExplicit made by the user, who alone removes it
 * @property {boolean} isImplicit a filter that nobody asked for
 * @property {boolean} isSecond opened beside the chain, without a backing file
 * @property {NodeDescription | undefined} image what is told of a format's image
 * @property {string | undefined} path of its real file
 * @property {string | undefined} backingFilename as the header says it
 * @property {BlockNode | undefined} backing
 * @property {BlockNode | undefined} file what lies below a format or a filter
 * @property {string | undefined} user the job that keeps others off
 */

/** @typedef {{ device: string, qdev: string | undefined, root: BlockNode }} Drive */

const filters = new Set([
  ...['blkdebug', 'commit_top', 'compress', 'copy-before-write', 'copy-on-read', 'mirror_top', 'preallocate'],
  ...['snapshot-access', 'throttle'],
])

/** @param {BlockNode} node */
export const isFilter = ({ driver }) => filters.has(driver)

/** The next image or filter of a chain. @param {BlockNode} node */
export const below = (node) => node.backing ?? (isFilter(node) ? node.file : undefined)

/** The node, or what lies under QEMU's own filters. @param {BlockNode | undefined} node */
export function visible(node) {
  let seen = node
  while (seen?.isImplicit) seen = seen.file
  return seen
}

export class BlockGraph {
  #nextNumber = 1
  /** Oldest first. @type {BlockNode[]} */
  nodes = []
  /** @type {Drive[]} */
  drives = []

  /** @param {readonly DiskDescription[]} disks */
  constructor(disks) {
    for (const { device, qdev, nodes, files } of disks) {
      const root = this.#addChain(nodes, files !== undefined, true)
      if (root === undefined) throw new Error(`disk '${device}' has no nodes; give at least one`)
      if (device !== undefined || qdev !== undefined) this.drives.push({ device: device ?? '', qdev, root })
    }
  }

  /** The node of a drive or of this name; refused as QEMU refuses.
   * @param {string} device @param {string} [nodeName] @returns {BlockNode} */
  find(device, nodeName = device) {
    const root = this.drives.find((drive) => drive.device === device && device !== '')?.root
    const node = visible(root ?? this.named(nodeName))
    if (node === undefined) throw new QmpFailure(`Cannot find device='${device}' nor node-name='${nodeName}'`)
    return node
  }

  /** @param {string} name */
  named(name) {
    return this.nodes.find((node) => node.name === name)
  }

  /** The name of the drive that stands right on this node, or '' . @param {BlockNode} node */
  deviceOf(node) {
    return this.drives.find((drive) => drive.root === node)?.device ?? ''
  }

  /** The images and filters from this one down, as far as and without `base`.
   * @param {BlockNode | undefined} top @param {BlockNode} [base] */
  chain(top, base) {
    const images = []
    for (let node = top; node !== undefined && node !== base; node = below(node)) images.push(node)
    return images
  }

  /** Adds a node without a chain, for blockdev-add. @param {NodeDescription} description @param {boolean} isReadOnly */
  add(description, isReadOnly) {
    const node = this.#addChain([description], false, !isReadOnly)
    if (node) node.isSecond = true
  }

  /** Adds a blkdebug over this node, which neither a drive nor a job uses, for blockdev-add.
   * @param {BlockNode} over @param {string} name */
  addFilter(over, name) {
    if (this.named(name) !== undefined) throw new QmpFailure(`Duplicate nodes with node-name='${name}'`)
    this.#makeFilter({ filter: 'blkdebug', nodeName: name }, over)
  }

  /** A format goes with its file; a filter leaves what it stood on. @param {BlockNode} node */
  remove(node) {
    const file = isFilter(node) ? undefined : node.file
    this.nodes = this.nodes.filter((other) => other !== node && other !== file)
  }

  /** Puts the filter of a stream between its top and whatever used that.
   * @param {BlockNode} top @param {string} [name] */
  insertFilter(top, name) {
    const filter = this.#makeFilter({ filter: 'copy-on-read', isImplicit: name === undefined }, top)
    if (name !== undefined) filter.name = name
    this.#replace(top, filter)
    return filter
  }

  /** @param {BlockNode} filter */
  removeFilter(filter) {
    this.nodes = this.nodes.filter((node) => node !== filter)
    if (filter.file) this.#replace(filter, filter.file)
  }

  /** What a stream does at its end: the images between go, unless the user made them.
   * @param {BlockNode} top @param {BlockNode | undefined} base @param {string | undefined} backingFile
   * @returns {BlockNode[]} those that went */
  dropBetween(top, base, backingFile) {
    const dropped = this.chain(top.backing, base)
    top.backing = base
    top.backingFilename = base === undefined ? undefined : (backingFile ?? base.filename)
    const stillUsed = new Set(this.nodes.map(below))
    const gone = []
    for (const node of dropped) {
      if (node.isExplicit || stillUsed.has(node)) break
      this.remove(node)
      gone.push(node)
      stillUsed.delete(below(node))
    }
    return gone
  }

  /** Drives and nodes that stood on one node stand on another. @param {BlockNode} from @param {BlockNode} to */
  #replace(from, to) {
    for (const drive of this.drives) if (drive.root === from) drive.root = to
    for (const node of this.nodes.filter((other) => other !== to)) {
      if (node.backing === from) node.backing = to
      // A flush's filter is put over the image itself, beside that of a stream.
      if (node.file === from && node.driver !== 'blkdebug') node.file = to
    }
  }

  /** @param {DiskDescription['nodes']} descriptions @param {boolean} isReal @param {boolean} isTop
   * @returns {BlockNode | undefined} */
  #addChain([description, ...rest], isReal, isTop) {
    if (description === undefined) return undefined
    if (description.nodeName !== undefined && this.named(description.nodeName) !== undefined) {
      throw new QmpFailure(`Duplicate nodes with node-name='${description.nodeName}'`)
    }
    if ('filter' in description) {
      const over = this.#addChain(rest, isReal, isTop)
      if (over === undefined) throw new Error(`filter '${description.filter}' has nothing below it; give it an image`)
      return this.#makeFilter(description, over)
    }
    const file = this.#make(description, 'file')
    const node = this.#make(description, description.format ?? 'qcow2', description.nodeName)
    node.image = description
    node.file = file
    node.path = isReal ? (description.path ?? description.filename) : undefined
    node.isReadOnly = file.isReadOnly = !isTop
    node.backing = this.#addChain(rest, isReal, false)
    const next = this.chain(node.backing).find((other) => !isFilter(other))
    node.backingFilename =
      description.backingFilename === undefined ? next?.filename : (description.backingFilename ?? undefined)
    return node
  }

  /** @param {FilterDescription} description @param {BlockNode} over */
  #makeFilter({ filter: driver, nodeName, isImplicit = false }, over) {
    const node = this.#make({ filename: over.filename, virtualSize: over.size }, driver, nodeName)
    node.file = over
    node.isImplicit = isImplicit
    node.isReadOnly = over.isReadOnly
    return node
  }

  /** @param {NodeDescription} description @param {string} driver @param {string} [name] @returns {BlockNode} */
  #make({ filename, virtualSize: size }, driver, name) {
    const node = {
      ...{ name: name ?? `#block${this.#nextNumber++}`, driver, filename, size },
      ...{ isReadOnly: false, isExplicit: name !== undefined, isImplicit: false, isSecond: false },
      ...{ image: undefined, path: undefined, backingFilename: undefined },
      ...{ backing: undefined, file: undefined, user: undefined },
    }
    this.nodes.push(node)
    return node
  }
}
