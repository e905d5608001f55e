// SPDX-License-Identifier: Apache-2.0
//
// How the modelled QEMU tells of its nodes: `query-block`, `query-blockstats`, `query-named-block-nodes` and
// `x-debug-query-block-graph`. The first two nest the images of a drive in the same way, one with what they are and
// the other with their names; filters of QEMU's own are left out of both.

import { dirname, isAbsolute, join } from 'node:path'
import { below, isFilter, visible } from './block-graph.mjs'
import { numberOf } from './versions.mjs'

/** @typedef {import('./block-graph.mjs').BlockGraph} BlockGraph */
/** @typedef {import('./block-graph.mjs').BlockNode} BlockNode */
/** @typedef {import('./types.js').NodeDescription} NodeDescription */
/** @typedef {import('./types.js').VersionProfile} VersionProfile */

/** What a node has of QEMU's throttle, which nobody set. */
const unthrottled = { iops: 0, iops_rd: 0, iops_wr: 0, bps: 0, bps_rd: 0, bps_wr: 0 }

/** Filters that go by the name of the image below them. */
const nameless = /^(copy-before-write|mirror_top|commit_top)$/

const operations = ['rd', 'wr', 'unmap']

/** Nothing was read or written. */
const stats = {
  ...Object.fromEntries(operations.flatMap((name) => ['bytes', 'merged'].map((of) => [`${name}_${of}`, 0]))),
  ...Object.fromEntries(
    [...operations, 'flush'].flatMap((name) => [
      ...[`${name}_operations`, `failed_${name}_operations`, `invalid_${name}_operations`].map((of) => [of, 0]),
      [`${name}_total_time_ns`, 0],
    ]),
  ),
  ...{ wr_highest_offset: 0, timed_stats: [], account_invalid: false, account_failed: false },
}

export class BlockAnswers {
  #graph
  #version
  #isActive

  /** @param {BlockGraph} graph @param {VersionProfile} version @param {() => boolean} isActive of the images */
  constructor(graph, version, isActive) {
    this.#graph = graph
    this.#version = version
    this.#isActive = isActive
  }

  queryBlock() {
    return this.#graph.drives.map(({ device, qdev, root }) => {
      const inserted = this.#describe(visible(root) ?? root, false)
      const guest = qdev === undefined ? { removable: true } : { removable: false, qdev, 'io-status': 'ok' }
      return { device, locked: false, inserted, type: 'unknown', ...guest }
    })
  }

  queryBlockStats() {
    return this.#graph.drives.map(({ device, qdev, root }) => {
      return { device, ...(qdev !== undefined && { qdev }), ...this.#statsOf(visible(root) ?? root) }
    })
  }

  /** Newest first, as QEMU lists them. @param {boolean} flat */
  queryNodes(flat) {
    return this.#graph.nodes.toReversed().map((node) => this.#describe(node, flat))
  }

  /** Nodes, drives and jobs by number, and who stands on whom, without permissions.
   * @param {readonly string[]} jobs those that hold their nodes */
  queryEdges(jobs) {
    const { nodes, drives } = this.#graph
    const things = [...nodes, ...drives, ...jobs]
    const ids = new Map(things.map((thing, index) => [thing, index + 1]))
    /** @param {unknown} parent @param {BlockNode | undefined} child @param {string} name */
    const edge = (parent, child, name) => {
      const from = ids.get(/** @type {BlockNode} */ (parent))
      return child ? [{ name, parent: from, child: ids.get(child), perm: [], 'shared-perm': [] }] : []
    }
    return {
      nodes: [
        ...nodes.map((node) => ({ id: ids.get(node), type: 'block-driver', name: node.name })),
        ...drives.map((drive) => ({ id: ids.get(drive), type: 'block-backend', name: drive.device })),
        ...jobs.map((job) => ({ id: ids.get(job), type: 'block-job', name: job })),
      ],
      edges: [
        ...nodes.flatMap((node) => [...edge(node, node.file, nameOf(node)), ...edge(node, node.backing, 'backing')]),
        ...drives.flatMap((drive) => edge(drive, drive.root, 'root')),
        ...jobs.flatMap((job) => {
          const held = nodes.filter(({ user }) => user === job)
          return held.flatMap((node) =>
            edge(job, node, node.driver === 'copy-on-read' ? 'main node' : 'intermediate node'),
          )
        }),
      ],
    }
  }

  /** @param {BlockNode} node @returns {Record<string, unknown>} */
  #statsOf(node) {
    const next = visible(below(node))
    const file = visible(node.file)
    return {
      ...(numberOf(this.#version) >= 200 && { 'node-name': node.name }),
      stats,
      ...(node.driver === 'file' && {
        'driver-specific': { driver: 'file', 'discard-nb-ok': 0, 'discard-nb-failed': 0, 'discard-bytes-ok': 0 },
      }),
      ...(file && { parent: this.#statsOf(file) }),
      ...(next && { backing: this.#statsOf(next) }),
    }
  }

  /** @param {BlockNode} node @param {boolean} flat @returns {Record<string, unknown>} */
  #describe(node, flat) {
    const { driver: drv, isReadOnly: ro } = node
    const file = filenameOf(node)
    const next = visible(below(node))
    const backing = visible(node.backing)
    if (numberOf(this.#version) < 200) {
      return { file, drv, ro, encrypted: false, ...(backing && { backing_file: filenameOf(backing) }) }
    }
    const depth = this.#graph.chain(next).filter((other) => !other.isImplicit).length
    return {
      ...unthrottled,
      ...{ file, drv, ro, encrypted: false, detect_zeroes: 'off', write_threshold: 0, 'node-name': node.name },
      ...(backing && { backing_file: filenameOf(backing) }),
      backing_file_depth: flat ? 0 : depth,
      cache: { 'no-flush': node.image?.noFlush ?? false, direct: false, writeback: true },
      image: describeImage(node, flat),
      ...(numberOf(this.#version) >= 1000 && { active: this.#isActive(), children: describeChildren(node) }),
    }
  }
}

/** @param {BlockNode} node @param {boolean} flat @returns {Record<string, unknown>} */
function describeImage(node, flat) {
  const { filename, driver: format, size, backingFilename, image } = node
  const isQcow2 = format === 'qcow2'
  const next = visible(below(node))
  return {
    ...{ filename: filenameOf(node), format, 'virtual-size': size, 'dirty-flag': false },
    ...(format !== 'blkdebug' && { 'actual-size': 200_704 }),
    ...((isQcow2 || isFilter(node)) && { 'cluster-size': 65_536 }),
    ...(isQcow2 && { 'format-specific': { type: 'qcow2', data: describeQcow2(image) } }),
    ...(image?.snapshots?.length && { snapshots: image.snapshots.map(describeSnapshot) }),
    ...(backingFilename !== undefined && {
      ...{ 'backing-filename': backingFilename, 'full-backing-filename': resolve(filename, backingFilename) },
      'backing-filename-format': imageBelow(node)?.driver ?? 'qcow2',
    }),
    ...(next && !flat && { 'backing-image': describeImage(next, flat) }),
  }
}

/** @param {BlockNode} node */
function imageBelow(node) {
  let next = below(node)
  while (next && isFilter(next)) next = below(next)
  return next
}

/** The name that QEMU makes of a node: that of its file, unless it was opened otherwise than that file would be.
 * @param {BlockNode} node @returns {string} */
function filenameOf(node) {
  const { driver } = node
  const file = visible(node.file)
  if (!isFilter(node) || !file) return isPlain(node) ? node.filename : `json:${JSON.stringify(optionsOf(node))}`
  if (node.isImplicit || nameless.test(driver)) return filenameOf(file)
  if (driver === 'blkdebug' && !isFilter(file) && isPlain(file)) return `blkdebug::${filenameOf(file)}`
  return `json:${JSON.stringify(optionsOf(node))}`
}

/** Whether QEMU takes it that the header alone would lead to the same. What a user has opened as the backing counts
 * only under the very name that the header states. @param {BlockNode} node */
function isPlain({ isSecond, backing, backingFilename }) {
  const next = visible(backing)
  if (isSecond) return backingFilename === undefined
  if (next === undefined) return true
  return !isFilter(next) && backingFilename !== undefined && (!next.isExplicit || next.filename === backingFilename)
}

/** @param {BlockNode} node @returns {Record<string, unknown>} */
function optionsOf(node) {
  const { driver } = node
  const file = visible(node.file)
  if (!file) return { driver, filename: node.filename }
  const next = visible(node.backing)
  const backing = isFilter(node) || isPlain(node) ? {} : { backing: next ? optionsOf(next) : null }
  const group = driver === 'throttle' ? { 'throttle-group': 'tg' } : {}
  return { ...backing, ...group, driver, [nameOf(node)]: optionsOf(file) }
}

/** A name that is relative is so to the folder of the image that says it.
 * @param {string} image @param {string} name */
function resolve(image, name) {
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

/** What QEMU calls the edge from a node to its file. @param {BlockNode} node */
function nameOf({ driver }) {
  if (driver === 'blkdebug') return 'image'
  return driver === 'mirror_top' || driver === 'commit_top' ? 'backing' : 'file'
}

/** @param {BlockNode} node */
function describeChildren(node) {
  const { file, backing } = node
  return [
    ...(file ? [{ 'node-name': file.name, child: nameOf(node) }] : []),
    ...(backing ? [{ 'node-name': backing.name, child: 'backing' }] : []),
  ]
}
