// SPDX-License-Identifier: Apache-2.0
//
// Where a random round over QEMU stands: its images and what they must be, the QEMU that has them now, the pulls that
// were asked for, and what may be told of them. Whatever happens is noted, so that a failure can tell its story.

import { realpathSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { digestOf } from '../images/files.js'
import type { RandomChain } from '../images/random-chain.js'
import type { Random } from '../random.js'
import { DiskModel } from '../random-live/model.js'
import { within } from '../random-live/pull.js'
import { GraphMachine } from './machine.js'
import type { GraphImages } from './nodes.js'
import { type GraphPull, GraphPuller, type Told } from './pull.js'
import { isWriterBelow, type Recipe } from './recipe.js'

/** What a refusal may say: that of which the code and the message have these words. */
type Reasons = Map<string, RegExp>

export class GraphStage {
  readonly log: string[] = []
  readonly model: DiskModel
  /** Digests of the backing files, and of the active image as long as nobody was to write to it. */
  readonly digests: ReadonlyMap<string, string>
  /** Files that the round itself writes to, beside the active image. */
  readonly written = new Set<string>()
  readonly reasons: Reasons
  /** Reasons that are gone for whoever asks from now on. */
  readonly passed = new Set<string>()
  /** The chains that the headers may lead through. */
  chains: string[][]
  hasWritten = false
  /** A stream may have gone on while the images were inactive, and QEMU has lost count of its clusters then. */
  mayMiscount = false
  /** Those that the machine is, or was, to come into. */
  readonly others: GraphMachine[] = []
  /** Whether images were, or will be, taken away from a job. */
  mayFail = false
  /** Whether QEMU was killed, and may have left clusters that nobody uses. */
  mayLeak = false
  /** Every end that was told, in order. */
  readonly told: Told[] = []
  #machine: GraphMachine | null = null
  #puller: GraphPuller | null = null
  readonly #pullers: GraphPuller[] = []

  constructor(
    readonly random: Random,
    readonly chain: RandomChain,
    readonly recipe: Recipe,
    readonly images: GraphImages,
    content: Buffer,
  ) {
    this.model = new DiskModel(content)
    const paths = images.layers.map(({ path }) => path)
    this.chains = [paths]
    this.digests = new Map(paths.map((path) => [path, digestOf(path)]))
    this.reasons = reasonsOf(recipe, images)
  }

  get paths(): readonly string[] {
    return this.images.layers.map(({ path }) => path)
  }

  /** The QEMU that has the images now. */
  get machine(): GraphMachine {
    if (this.#machine === null) throw new Error('no QEMU has been started')
    return this.#machine
  }

  /** Ends whatever still runs. */
  async kill(): Promise<void> {
    await this.#machine?.kill()
    for (const machine of this.others) await machine.kill()
  }

  /** What is wrong with the QEMU that has the images. */
  async machineComplaints(): Promise<readonly string[]> {
    return (await this.#machine?.complaints()) ?? []
  }

  get puller(): GraphPuller {
    if (this.#puller === null) throw new Error('no QEMU has been started')
    return this.#puller
  }

  note(words: string): void {
    this.log.push(words)
  }

  async start(): Promise<void> {
    this.enter(await GraphMachine.start(this.recipe, this.images, 'first'), this.recipe.hasXml)
    if (!this.recipe.isRunning) return
    await (this.machine.isDaemon ? this.machine.export() : this.machine.cont())
  }

  /** From now on this QEMU is the one. */
  enter(machine: GraphMachine, hasXml: boolean): void {
    this.#machine = machine
    this.#puller = new GraphPuller(this.recipe, this.images, machine, hasXml)
    this.#pullers.push(this.#puller)
  }

  async close(): Promise<void> {
    for (const puller of this.#pullers.splice(0)) await within('close()', puller.close())
  }

  /** Asks for the pull of the recipe. */
  ask(): GraphPull {
    const { name, by, base, bytesPerSecond } = this.recipe.ask
    for (const reason of this.passed) this.reasons.delete(reason)
    this.passed.clear()
    this.note(`pull by ${by} of ${name} '${this.puller.disk}', base ${base}, ${bytesPerSecond} bytes a second`)
    const pull = this.puller.ask(bytesPerSecond)
    void pull.told.then(({ how, code, message, released }) => {
      this.note(`the pull: ${how} ${code ?? ''} ${message} released [${released.join(' ')}]`)
    })
    return pull
  }

  /** Lifts the limit until the pull is over. */
  async finish(pull: GraphPull): Promise<Told> {
    const lifting = async () => {
      while (!pull.isOver && !this.machine.hasEnded) {
        await this.machine.liftLimits().catch(() => undefined)
        await Promise.race([pull.told, pause(50)])
      }
    }
    const [told] = await within('the pull', Promise.all([pull.told, lifting()]))
    return told
  }

  /** One or a few things that a guest does, and time that passes. */
  async something(): Promise<void> {
    const { random } = this
    const mayTouch = !this.recipe.isSnapshot && !this.recipe.filters.some(isWriterBelow) && this.machine.canDoIo
    // By a compress filter QEMU fails every write to a cluster that is there, and HMP does not tell.
    const mayWrite = mayTouch && this.recipe.filters.every(({ kind }) => kind !== 'compress')
    const touches = ['read', 'flush', 'wait'] as const
    const what = random.pick(mayWrite ? ['write', 'write', 'write', ...touches] : mayTouch ? touches : ['wait'])
    if (what === 'read' || what === 'flush') this.note(`the guest: ${what}`)
    if (what === 'wait') await pause(random.below(60))
    if (what === 'write') await this.#write()
    if (what === 'read') {
      this.hasWritten ||= this.recipe.copiesOnRead || this.recipe.filters.some(({ kind }) => kind === 'copy-on-read')
      await this.machine.guestIo(`read 0 ${Math.min(this.model.size, 1 << 18)}`)
    }
    if (what === 'flush') {
      const { mark } = this.model
      await this.machine.guestIo('flush')
      this.model.flushedUpTo(mark)
    }
  }

  async #write(): Promise<void> {
    const { random, model } = this
    const unit = random.pick([512, 4096, 1 << 16])
    const units = Math.floor(model.size / unit)
    if (units === 0) return
    const offset = unit * random.below(units)
    const length = unit * random.scaled(1, Math.min(units - offset / unit, Math.ceil((1 << 18) / unit)))
    const byte = random.chance(0.2) ? 0 : random.between(1, 255)
    const how = byte > 0 ? `-P ${byte}` : random.pick(['-P 0', '-z'])
    this.note(`the guest writes: ${how} ${offset} ${length}`)
    this.hasWritten = true
    model.write(offset, length, byte)
    await this.machine.guestIo(`write ${how} ${offset} ${length}`)
  }
}

/** What a pull of this recipe may be refused for, at any time. */
function reasonsOf(recipe: Recipe, { layers }: GraphImages): Reasons {
  const { filters, ask } = recipe
  const reasons: Reasons = new Map()
  if (recipe.isSnapshot) reasons.set('snapshot mode', /snapshot|temporar|^NO_DISK/i)
  if (filters.length > 0) {
    const words = ['filter', ...filters.flatMap(({ kind, node }) => [kind, node])]
    reasons.set('a filter', new RegExp(words.join('|'), 'i'))
  }
  if (ask.name === 'root') reasons.set('named by a filter', /^NO_DISK/)
  const base = layers[ask.base]
  const top = layers[0]
  if (base !== undefined && top !== undefined && ask.base > 0) {
    const dropped = layers.slice(1, ask.base)
    const isShort = dropped.some(({ size }) => size < top.size && size < base.size)
    if (isShort) reasons.set('a shorter layer', /bytes|short/i)
  }
  return reasons
}

/** A path as another tool may have written it, in one form. */
export function plainPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
