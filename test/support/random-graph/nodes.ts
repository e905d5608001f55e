// SPDX-License-Identifier: Apache-2.0
//
// The images of a recipe as QEMU's arguments. A graph is one tree of nodes, the guest's side first; it becomes a
// -blockdev for each node or one for all, or the dotted keys of a -drive.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { qemuImg } from '../qemu/qemu.js'
import type { Layer } from '../random-live/layers.js'
import { type Filter, isWriterBelow, type Recipe } from './recipe.js'

type Value = string | number | boolean | null | Node
interface Node {
  readonly [key: string]: Value
}

/** The images that a recipe is about. */
export interface GraphImages {
  readonly folder: string
  /** The active layer first. */
  readonly layers: readonly Layer[]
  /** The second disk's active layer, or null. */
  readonly second: string | null
}

export const guestDevice = 'virtio-disk0'

/** Makes the files that filters write to, and the second disk. */
export async function makeFilterFiles(recipe: Recipe, folder: string, layers: readonly Layer[]): Promise<GraphImages> {
  for (const { kind, node, level } of recipe.filters) {
    if (kind === 'blklogwrites') writeFileSync(join(folder, `${node}.log`), '')
    if (kind !== 'copy-before-write') continue
    await qemuImg('create', '-q', '-f', 'qcow2', join(folder, `${node}.saved`), String(layers[level]?.size))
  }
  const below = recipe.secondOver === null ? undefined : layers[recipe.secondOver]
  if (below === undefined) return { folder, layers, second: null }
  const second = join(folder, 'second')
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', below.path, '-F', below.format, second)
  return { folder, layers, second }
}

/** The name under which the guest's device has its disk: that of a node, or the -drive's. */
export function rootName({ style, filters }: Recipe): string {
  if (style === 'drive') return 'drive0'
  return filters.findLast(({ place }) => place === 'above')?.node ?? 'layer0'
}

/** The arguments for the disks, and for all that they need. */
export function diskArgs(recipe: Recipe, images: GraphImages): string[] {
  const dash = recipe.program === 'qemu-storage-daemon' ? '--' : '-'
  const tree = new TreeMaker(recipe, images)
  const group = [`${dash}object`, 'throttle-group,id=group0,x-iops-total=1000000']
  const thread = recipe.hasIothread ? ['-object', 'iothread,id=thread0'] : []
  const nodes = recipe.style === 'drive' ? driveArgs(recipe, tree, images) : nodeArgs(recipe, tree, images, dash)
  return [...group, ...thread, ...nodes, ...deviceArgs(recipe, images)]
}

function deviceArgs(recipe: Recipe, { second }: GraphImages): string[] {
  if (recipe.program === 'qemu-storage-daemon') return []
  const thread = recipe.hasIothread ? ',iothread=thread0' : ''
  // A device that is told its geometry does not guess it from the first sector, which would be a read.
  const geometry = recipe.filters.some(isWriterBelow) ? ',cyls=16,heads=16,secs=63' : ''
  const device = (drive: string, id: string) => [
    '-device',
    `virtio-blk-pci,drive=${drive},id=${id}${thread}${geometry}`,
  ]
  const other = second === null ? [] : device(recipe.style === 'drive' ? 'drive1' : 'second', 'virtio-disk1')
  return [...device(rootName(recipe), guestDevice), ...other]
}

function driveArgs(recipe: Recipe, tree: TreeMaker, { second }: GraphImages): string[] {
  const flags = [
    'if=none,id=drive0',
    ...(recipe.isSnapshot ? ['snapshot=on'] : []),
    ...(recipe.copiesOnRead ? ['copy-on-read=on'] : []),
  ]
  const disk = tree.disk()
  const keys = dotted(recipe.isNamed ? disk : withoutNames(disk))
  const other = second === null ? [] : ['-drive', `if=none,id=drive1,format=qcow2,file=${second}`]
  return [...blockdevs(tree.below, '-'), '-drive', [...flags, ...keys].join(','), ...other]
}

function nodeArgs(recipe: Recipe, tree: TreeMaker, { second }: GraphImages, dash: string): string[] {
  const disk = recipe.isInline ? [tree.disk()] : apart(tree.disk())
  const nodes = [...tree.targets(), ...tree.below, ...disk]
  if (second !== null) {
    // Over the very node that the first disk has, where it has a name.
    const backing = recipe.byHeaders ? {} : { backing: `layer${recipe.secondOver}` }
    nodes.push({ driver: 'qcow2', 'node-name': 'second', file: { driver: 'file', filename: second }, ...backing })
  }
  return blockdevs(nodes, dash)
}

function blockdevs(nodes: readonly Node[], dash: string): string[] {
  return nodes.flatMap((node) => [`${dash}blockdev`, JSON.stringify(node)])
}

class TreeMaker {
  /** The nodes that the disk refers to by name, the lowest first. */
  below: readonly Node[] = []

  constructor(
    readonly recipe: Recipe,
    readonly images: GraphImages,
  ) {}

  /** What the guest's device sees, down to the last file. */
  disk(): Node {
    return this.#filtered(this.#layer(0), 'above', 0)
  }

  /** What copy-before-write filters save to. */
  targets(): Node[] {
    const saving = this.recipe.filters.filter(({ kind }) => kind === 'copy-before-write')
    return saving.map(({ node }) => {
      const file = { driver: 'file', filename: this.#path(node, 'saved') }
      return { driver: 'qcow2', 'node-name': `${node}-target`, file }
    })
  }

  #layer(level: number): Node {
    const { recipe, images } = this
    const layer = images.layers[level]
    const hasFileNodes = recipe.style === 'blockdev' && !recipe.isInline
    const name = hasFileNodes ? { 'node-name': `file${level}`, 'auto-read-only': true } : {}
    const file = this.#filtered({ driver: 'file', filename: layer?.path ?? '', ...name }, 'beneath', level)
    const isLast = level === images.layers.length - 1 || recipe.byHeaders
    const below = isLast ? {} : { backing: this.#backing(level + 1) }
    return { driver: layer?.format ?? '', 'node-name': `layer${level}`, file, ...below, ...this.#mode(level) }
  }

  /** QEMU opens a filter as backing file only where the node is there already. */
  #backing(level: number): Value {
    const node = this.#filtered(this.#layer(level), 'between', level)
    const isApart = this.recipe.filters.some((filter) => filter.level > 0)
    if (level > 1 || !isApart) return node
    this.below = apart(node)
    return node['node-name'] ?? null
  }

  /** Only copy-on-read wants what is below it open for writing. */
  #mode(level: number): Node {
    if (level === 0) return {}
    return { 'read-only': !this.recipe.filters.some((filter) => isWriterBelow(filter) && filter.level === level) }
  }

  #filtered(node: Node, place: Filter['place'], level: number): Node {
    const filters = this.recipe.filters.filter((filter) => filter.place === place && filter.level === level)
    return filters.reduce((below, filter) => this.#filter(filter, below), node)
  }

  #filter({ kind, node, level, place }: Filter, below: Node): Node {
    const own = { driver: kind, 'node-name': node, ...(place === 'above' ? {} : this.#mode(level)) }
    if (kind === 'blkdebug') return { ...own, image: below }
    if (kind === 'throttle') return { ...own, 'throttle-group': 'group0', file: below }
    if (kind === 'copy-before-write') return { ...own, target: `${node}-target`, file: below }
    if (kind === 'preallocate') return { ...own, 'prealloc-size': 1 << 16, file: below }
    if (kind !== 'blklogwrites') return { ...own, file: below }
    return { ...own, log: { driver: 'file', filename: this.#path(node, 'log') }, file: below }
  }

  #path(node: string, ending: string): string {
    return join(this.images.folder, `${node}.${ending}`)
  }
}

/** Every node with a name by itself, the lowest first, with names in place of nodes. */
function apart(tree: Node): Node[] {
  const nodes: Node[] = []
  const place = (node: Node): Value => {
    const flat = Object.fromEntries(
      Object.entries(node).map(([key, value]) => [key, isNode(value) ? place(value) : value]),
    )
    const name = node['node-name']
    if (name === undefined) return flat
    nodes.push(flat)
    return name
  }
  place(tree)
  return nodes
}

function withoutNames(tree: Node): Node {
  const kept = Object.entries(tree).filter(([key]) => key !== 'node-name')
  return Object.fromEntries(kept.map(([key, value]) => [key, isNode(value) ? withoutNames(value) : value]))
}

function dotted(tree: Node, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    isNode(value) ? dotted(value, `${prefix}${key}.`) : [`${prefix}${key}=${value}`],
  )
}

function isNode(value: Value): value is Node {
  return typeof value === 'object' && value !== null
}
