// SPDX-License-Identifier: Apache-2.0
//
// What a random round over QEMU is made of, chosen before anything starts: how QEMU opens the images, which filters
// stand where, what else is there, what happens while the pull runs, and how it is asked for.
//
//     device ─ above ─ layer0 ─ between ─ layer1 ─ between ─ layer2       level 0 is the active image
//                        │                  │
//                     beneath            beneath ─ file
//
// What QEMU itself does not open is not chosen: a compress filter over a file, a copy-on-read over what is read-only,
// a copy-before-write that would save what only a format knows the length of.

import type { Random } from '../random.js'

export const filterKinds = [
  'throttle',
  'copy-on-read',
  'copy-before-write',
  'blkdebug',
  'blklogwrites',
  'compress',
  'preallocate',
] as const

export type FilterKind = (typeof filterKinds)[number]
export type Place = 'above' | 'between' | 'beneath'

export interface Filter {
  readonly kind: FilterKind
  readonly place: Place
  /** Of the image that it stands on; between layers that is the lower one. */
  readonly level: number
  readonly node: string
}

/** What another program's job does in the same QEMU. */
export interface Beside {
  readonly kind: 'backup' | 'mirror' | 'commit'
  /** Levels of a commit: from, and into. */
  readonly from: number
  readonly into: number
  readonly begins: 'before' | 'during'
  readonly end: 'finish' | 'cancel'
}

export type Life =
  | 'none'
  | 'stop'
  | 'save'
  | 'save and quit'
  | 'migrate'
  | 'cancelled migration'
  | 'pull in a migration'
  | 'pull when saved'

export interface Ask {
  readonly name: 'device' | 'qdev' | 'node' | 'root' | 'path' | 'target'
  readonly by: 'api' | 'command'
  /** Level of the layer that stays, 0 for none. */
  readonly base: number
  readonly isBaseByIndex: boolean
  /** 0 is no limit. */
  readonly bytesPerSecond: number
}

export interface Recipe {
  readonly program: 'qemu-system-x86_64' | 'qemu-storage-daemon'
  readonly style: 'blockdev' | 'drive'
  /** The backing files are opened as the headers name them, not as the arguments do. */
  readonly byHeaders: boolean
  /** Of -blockdev: everything in one argument, or one for each node. */
  readonly isInline: boolean
  /** Of -drive: whether the nodes have names. */
  readonly isNamed: boolean
  readonly filters: readonly Filter[]
  readonly hasIothread: boolean
  readonly isSnapshot: boolean
  /** -drive's own copy-on-read=on. */
  readonly copiesOnRead: boolean
  /** The level that a second disk stands on, or null. */
  readonly secondOver: number | null
  readonly beside: Beside | null
  readonly life: Life
  /** The machine runs its firmware, without a guest; a storage daemon serves the disk to one. */
  readonly isRunning: boolean
  /** A folder with XML, or a description without disks. */
  readonly hasXml: boolean
  readonly ask: Ask
}

/** What the choice depends on. */
export interface ChainFacts {
  readonly formats: readonly string[]
  /** By level, whether QEMU can open the image for writing without changing a byte of it. */
  readonly isPlain: readonly boolean[]
  /** By level, whether the image ends where a cluster does. */
  readonly isWhole: readonly boolean[]
}

export function chooseRecipe(random: Random, chain: ChainFacts): Recipe {
  const depth = chain.formats.length - 1
  const program = random.chance(0.2) ? 'qemu-storage-daemon' : 'qemu-system-x86_64'
  const isDaemon = program === 'qemu-storage-daemon'
  const style = isDaemon || random.chance(0.55) ? 'blockdev' : 'drive'
  const byHeaders = random.chance(style === 'drive' ? 0.4 : 0.25)
  const isSnapshot = style === 'drive' && random.chance(0.15)
  const chosen = chooseFilters(random, chain, style, byHeaders)
  const compresses = chosen.some(({ kind }) => kind === 'compress')
  const filters = chosen.filter(({ kind }) => {
    // What is opened read-only cannot be copied into; what compresses fails over a cluster that the stream has written.
    return kind !== 'copy-on-read' || !(isSnapshot || compresses)
  })
  const writesBelow = filters.some(isWriterBelow)
  const hasOthers = !isSnapshot && !writesBelow
  const secondOver = hasOthers && depth > 0 && random.chance(0.3) ? random.between(1, depth) : null
  // Beside a second disk a commit changes what that reads; over an active one, QEMU hangs with a compress filter.
  const mayCommit = depth > 0 && secondOver === null && !compresses
  const beside = hasOthers && random.chance(0.2) ? chooseBeside(random, depth, mayCommit) : null
  const life = isDaemon || isSnapshot ? 'none' : chooseLife(random, filters, beside !== null)
  const isNamed = style === 'blockdev' || random.chance(0.5)
  const hasXml = !isDaemon && random.chance(0.3)
  const names = namesFor({ isDaemon, style, isNamed: isNamed && !isSnapshot, hasXml }, filters)
  return {
    program,
    style,
    byHeaders,
    isNamed,
    filters,
    isSnapshot,
    secondOver,
    beside,
    life,
    hasXml,
    isInline: random.chance(0.3),
    hasIothread: !isDaemon && random.chance(0.3) && (beside === null || mayBeInThread(beside)),
    copiesOnRead: style === 'drive' && !isSnapshot && !compresses && random.chance(0.15),
    isRunning: !writesBelow && random.chance(0.4),
    ask: {
      name: random.pick(names),
      by: random.chance(0.15) ? 'command' : 'api',
      base: depth > 0 && random.chance(0.5) ? random.between(1, depth) : 0,
      isBaseByIndex: hasXml && random.chance(0.3),
      bytesPerSecond: random.chance(0.2) ? 0 : random.scaled(1 << 17, 1 << 22),
    },
  }
}

/** QEMU may end in an iothread where a commit is cancelled, or where the guest is stopped in a mirror over a stream. */
function mayBeInThread({ kind, begins }: Beside): boolean {
  return kind === 'backup' || (kind === 'mirror' && begins === 'before')
}

/** Whether reading through it writes to a backing file, whoever reads. */
export function isWriterBelow({ kind, place, level }: Filter): boolean {
  return kind === 'copy-on-read' && place !== 'above' && level > 0
}

function chooseFilters(random: Random, chain: ChainFacts, style: Recipe['style'], byHeaders: boolean): Filter[] {
  const count = random.pick([0, 0, 1, 1, 2, 3])
  const depth = chain.formats.length - 1
  const filters: Filter[] = []
  for (let at = 0; at < count; at++) {
    const place = random.pick(['above', 'above', 'between', 'between', 'beneath'] as const)
    const level = place === 'above' ? 0 : random.between(place === 'between' ? 1 : 0, Math.max(depth, 1))
    const filter = { kind: random.pick(filterKinds), place, level, node: `filter${at}` }
    const isThere = level <= depth && !(byHeaders && level > 0)
    const wasChosen = filters.some((other) => other.kind === filter.kind && other.level === level)
    if (isThere && !wasChosen && canStand(filter, chain, style)) filters.push(filter)
  }
  // A compress filter needs the format itself below it.
  return filters.sort((one, other) => Number(other.kind === 'compress') - Number(one.kind === 'compress'))
}

function canStand(filter: Filter, { formats, isPlain, isWhole }: ChainFacts, style: Recipe['style']): boolean {
  const { kind, place, level } = filter
  if (kind === 'compress') return place !== 'beneath' && formats[level] === 'qcow2' && isWhole[level] === true
  if (kind === 'copy-before-write') return place !== 'beneath' && style === 'blockdev'
  if (isWriterBelow(filter)) return place === 'between' && style === 'blockdev' && isPlain[level] === true
  return true
}

function chooseBeside(random: Random, depth: number, mayCommit: boolean): Beside | null {
  const begins = random.chance(0.7) ? 'before' : 'during'
  const end = random.pick(['finish', 'cancel'] as const)
  const kind = random.pick(['backup', 'mirror', 'commit'] as const)
  if (kind !== 'commit') return { kind, from: 0, into: 0, begins, end }
  if (!mayCommit) return null
  const from = random.between(0, depth - 1)
  // One that ends well writes a header too: that of the layer above, which only here is the active image.
  return { kind, from, into: random.between(from + 1, depth), begins, end: from === 1 ? end : 'cancel' }
}

function chooseLife(random: Random, filters: readonly Filter[], isBeside: boolean): Life {
  // A QEMU that a machine comes into cannot open it.
  const isAlone = filters.some(({ kind }) => kind === 'copy-before-write')
  // A guest that runs would write below by reading.
  if (filters.some(isWriterBelow)) return isAlone ? 'none' : random.pick(['none', 'cancelled migration'])
  // QEMU lets nobody migrate beside a job that writes.
  if (isBeside) return random.pick(['none', 'stop'])
  if (isAlone) return random.pick(['none', 'stop', 'save', 'pull when saved'])
  return random.pick([
    'none',
    'none',
    'none',
    'none',
    'none',
    'stop',
    'stop',
    'save',
    'save',
    'save and quit',
    'migrate',
    'migrate',
    'cancelled migration',
    'cancelled migration',
    'pull in a migration',
    'pull when saved',
  ])
}

function namesFor(
  how: { isDaemon: boolean; style: Recipe['style']; isNamed: boolean; hasXml: boolean },
  filters: readonly Filter[],
): [Ask['name'], ...Ask['name'][]] {
  if (how.hasXml) return ['target', 'target', 'path']
  const names: [Ask['name'], ...Ask['name'][]] = ['path']
  if (how.isNamed) names.push('node')
  if (how.isNamed && filters.some(({ place }) => place === 'above')) names.push('root')
  if (!how.isDaemon) names.push('qdev')
  if (how.style === 'drive') names.push('device')
  return names
}
