// SPDX-License-Identifier: Apache-2.0
//
// The block nodes of the modelled QEMU, and how `query-block` and `query-named-block-nodes` show them. Each image
// of a chain is two nodes, its format over its file, as QEMU opens it:
//
//     vda -> [n0 qcow2] --backing--> [n1 qcow2] --backing--> [n2 qcow2]
//               | file                  | file                  | file
//            [#block1]               [#block3]               [#block5]
//
// While a stream runs, QEMU 6.0 and later put a copy-on-read filter between the drive and the top.

import { dirname, isAbsolute, join } from 'node:path'
import { QmpFailure } from './qmp-failure.mjs'
import { numberOf } from './versions.mjs'

/** @typedef {import('./types.js').DiskDescription} DiskDescription */
/** @typedef {import('./types.js').NodeDescription} NodeDescription */
/** @typedef {import('./types.js').VersionProfile} VersionProfile */

/**
 * @typedef {object} BlockNode
 * @property {string} name
 * @property {string} driver
 * @property {string} filename
 * @property {number} size virtual size
 * @property {boolean} isReadOnly
 * @property {boolean} isExplicit made by the user, who alone removes it
 * @property {NodeDescription | undefined} image what is told of a format's image
 * @property {string | undefined} backingFilename as the header says it
 * @property {BlockNode | undefined} backing
 * @property {BlockNode | undefined} file what lies below a format or a filter
 * @property {string | undefined} user the job that keeps others off
 */

/** @typedef {{ device: string, qdev: string | undefined, root: BlockNode }} Drive */

/** What a node has of QEMU's throttle, which nobody set. */
const unthrottled = { iops: 0, iops_rd: 0, iops_wr: 0, bps: 0, bps_rd: 0, bps_wr: 0 }

export class BlockGraph {
  #version
  #nextNumber = 1
  /** Oldest first. @type {BlockNode[]} */
  nodes = []
  /** @type {Drive[]} */
  drives = []

  /** @param {VersionProfile} version @param {readonly DiskDescription[]} disks */
  constructor(version, disks) {
    this.#version = version
    for (const { device, qdev, nodes } of disks) {
      const root = this.#addChain(nodes, true)
      if (root === undefined) throw new Error(`disk '${device}' has no nodes; give at least one`)
      if (device !== undefined || qdev !== undefined) this.drives.push({ device: device ?? '', qdev, root })
    }
  }

  /** The node of a drive or of this name; refused as QEMU refuses.
   * @param {string} device @param {string} [nodeName] @returns {BlockNode} */
  find(device, nodeName = device) {
    const node = this.drives.find((drive) => drive.device === device && device !== '')?.root ?? this.named(nodeName)
    if (node === undefined) throw new QmpFailure(`Cannot find device='${device}' nor node-name='${nodeName}'`)
    return node.driver === 'copy-on-read' && node.file !== undefined ? node.file : node
  }

  /** @param {string} name */
  named(name) {
    return this.nodes.find((node) => node.name === name)
  }

  /** The name of the drive that stands right on this node, or '' . @param {BlockNode} node */
  deviceOf(node) {
    return this.drives.find((drive) => drive.root === node)?.device ?? ''
  }

  /** The images from this one down, as far as and without `base`.
   * @param {BlockNode | undefined} top @param {BlockNode} [base] */
  chain(top, base) {
    const images = []
    for (let node = top; node !== undefined && node !== base; node = node.backing) images.push(node)
    return images
  }

  /** Adds a node without a chain, for blockdev-add. @param {NodeDescription} description */
  add(description) {
    return this.#addChain([description], true)
  }

  /** Adds a blkdebug over this node, which neither a drive nor a job uses, for blockdev-add.
   * @param {BlockNode} below @param {string} name */
  addFilter(below, name) {
    if (this.named(name) !== undefined) throw new QmpFailure(`Duplicate nodes with node-name='${name}'`)
    this.#make({ filename: below.filename, virtualSize: below.size }, 'blkdebug', name).file = below
  }

  /** A format goes with its file; a filter leaves what it stood on. @param {BlockNode} node */
  remove(node) {
    const file = node.driver === 'blkdebug' ? undefined : node.file
    this.nodes = this.nodes.filter((other) => other !== node && other !== file)
  }

  /** Puts the filter of a stream over its top. @param {BlockNode} top @param {string} [name] */
  insertFilter(top, name) {
    const filter = this.#make({ filename: top.filename, virtualSize: top.size }, 'copy-on-read', name)
    filter.file = top
    for (const drive of this.drives) if (drive.root === top) drive.root = filter
    return filter
  }

  /** @param {BlockNode} filter */
  removeFilter(filter) {
    for (const drive of this.drives) if (drive.root === filter && filter.file) drive.root = filter.file
    this.nodes = this.nodes.filter((node) => node !== filter)
  }

  /** What a stream does at its end: the images between go, unless the user made them.
   * @param {BlockNode} top @param {BlockNode | undefined} base @param {string | undefined} backingFile */
  dropBetween(top, base, backingFile) {
    const dropped = this.chain(top.backing, base)
    top.backing = base
    top.backingFilename = base === undefined ? undefined : (backingFile ?? base.filename)
    const stillUsed = new Set(this.nodes.map((node) => node.backing))
    for (const node of dropped) {
      if (node.isExplicit || stillUsed.has(node)) break
      this.remove(node)
      stillUsed.delete(node.backing)
    }
  }

  queryBlock() {
    return this.drives.map(({ device, qdev, root }) => {
      const visible = root.driver === 'copy-on-read' && root.file ? root.file : root
      const inserted = this.describe(visible, false)
      const guest = qdev === undefined ? { removable: true } : { removable: false, qdev, 'io-status': 'ok' }
      return { device, locked: false, inserted, type: 'unknown', ...guest }
    })
  }

  /** Newest first, as QEMU lists them. @param {boolean} flat */
  queryNodes(flat) {
    return this.nodes.toReversed().map((node) => this.describe(node, flat))
  }

  /** Nodes by number and who lies below whom, as x-debug-query-block-graph tells it, without permissions. */
  queryEdges() {
    const ids = new Map(this.nodes.map((node, index) => [node, index + 1]))
    /** @param {BlockNode} node @param {'file' | 'backing'} name */
    const edge = (node, name) => {
      const child = node[name]
      return child
        ? [{ name: nameOf(node, name), parent: ids.get(node), child: ids.get(child), perm: [], 'shared-perm': [] }]
        : []
    }
    return {
      nodes: this.nodes.map((node) => ({ id: ids.get(node), type: 'block-driver', name: node.name })),
      edges: this.nodes.flatMap((node) => [...edge(node, 'file'), ...edge(node, 'backing')]),
    }
  }

  /** @param {BlockNode} node @param {boolean} flat @returns {Record<string, unknown>} */
  describe(node, flat) {
    const { filename: file, driver: drv, isReadOnly: ro, backing } = node
    if (numberOf(this.#version) < 200) {
      return { file, drv, ro, encrypted: false, ...(backing && { backing_file: backing.filename }) }
    }
    return {
      ...unthrottled,
      ...{ file, drv, ro, encrypted: false, detect_zeroes: 'off', write_threshold: 0, 'node-name': node.name },
      ...(backing && { backing_file: backing.filename }),
      backing_file_depth: flat ? 0 : this.chain(backing).length,
      cache: { 'no-flush': false, direct: false, writeback: true },
      image: describeImage(node, flat),
      ...(numberOf(this.#version) >= 1000 && { active: true, children: describeChildren(node) }),
    }
  }

  /** @param {readonly NodeDescription[]} descriptions @param {boolean} isTop @returns {BlockNode | undefined} */
  #addChain([description, ...below], isTop) {
    if (description === undefined) return undefined
    if (description.nodeName !== undefined && this.named(description.nodeName) !== undefined) {
      throw new QmpFailure(`Duplicate nodes with node-name='${description.nodeName}'`)
    }
    const file = this.#make(description, 'file')
    const node = this.#make(description, description.format ?? 'qcow2', description.nodeName)
    node.image = description
    node.file = file
    node.isReadOnly = file.isReadOnly = !isTop
    node.backing = this.#addChain(below, false)
    if (node.backing) node.backingFilename = description.backingFilename ?? node.backing.filename
    return node
  }

  /** @param {NodeDescription} description @param {string} driver @param {string} [name] @returns {BlockNode} */
  #make({ filename, virtualSize: size }, driver, name) {
    const node = {
      ...{ name: name ?? `#block${this.#nextNumber++}`, driver, filename, size },
      ...{ isReadOnly: false, isExplicit: name !== undefined, image: undefined, backingFilename: undefined },
      ...{ backing: undefined, file: undefined, user: undefined },
    }
    this.nodes.push(node)
    return node
  }
}

/** @param {BlockNode} node @param {boolean} flat @returns {Record<string, unknown>} */
function describeImage(node, flat) {
  const { filename, driver: format, size, backing, backingFilename, image } = node
  const isQcow2 = format === 'qcow2'
  return {
    ...{ filename, format, 'virtual-size': size, 'actual-size': 200_704, 'dirty-flag': false },
    ...((isQcow2 || format === 'copy-on-read') && { 'cluster-size': 65_536 }),
    ...(isQcow2 && { 'format-specific': { type: 'qcow2', data: describeQcow2(image) } }),
    ...(image?.snapshots?.length && { snapshots: image.snapshots.map(describeSnapshot) }),
    ...(backing && {
      ...{ 'backing-filename': backingFilename, 'full-backing-filename': resolve(filename, backingFilename) },
      'backing-filename-format': backing.driver,
      ...(!flat && { 'backing-image': describeImage(backing, flat) }),
    }),
  }
}

/** A name that is relative is so to the folder of the image that says it.
 * @param {string} image @param {string | undefined} name */
function resolve(image, name = '') {
  return isAbsolute(name) || !image.includes('/') ? name : join(dirname(image), name)
}

/** @param {NodeDescription | undefined} image */
function describeQcow2(image) {
  return {
    ...{ compat: '1.1', 'compression-type': 'zlib', 'lazy-refcounts': false, 'refcount-bits': 16, corrupt: false },
    'extended-l2': image?.extendedL2 ?? false,
  }
}

/** @param {{ id: string, name: string }} snapshot */
function describeSnapshot({ id, name }) {
  const times = { 'vm-clock-sec': 0, 'vm-clock-nsec': 0, 'date-sec': 1_700_000_000, 'date-nsec': 0 }
  return { id, name, 'vm-state-size': 0, ...times }
}

/** What QEMU calls the edge to what lies below. @param {BlockNode} node @param {'file' | 'backing'} child */
const nameOf = ({ driver }, child) => (driver === 'blkdebug' && child === 'file' ? 'image' : child)

/** @param {BlockNode} node */
function describeChildren(node) {
  const { file, backing } = node
  return [
    ...(file ? [{ 'node-name': file.name, child: nameOf(node, 'file') }] : []),
    ...(backing ? [{ 'node-name': backing.name, child: 'backing' }] : []),
  ]
}
