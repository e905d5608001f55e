// SPDX-License-Identifier: Apache-2.0
//
// One random schedule on a random disk, from beginning to end: the story that random-live.test.ts tells some times.
// Gives null when all held, and otherwise everything that is needed to see it again as far as chance allows: what
// happened, the commands that made the chain, and where the files were kept.
//
//     runs      pulls (here, in a process that is killed, detached), snapshots, writes, reaps; shut off or killed
//     is off    a pull by our own engine, or it starts
//     at last   what was left is brought to its end, the guest shuts off, and everything is judged once more

import { setTimeout as pause } from 'node:timers/promises'
import { type BlockPullOptions, type Connection, connect, type Domain } from '../../../lib/index.js'
import { GuestPuller } from '../processes/guest-puller.js'
import { qemuIo } from '../qemu/qemu.js'
import type { Random } from '../random.js'
import type { TempFolder } from '../temp-folder.js'
import { RandomGuest } from './guest.js'
import type { Layer } from './layers.js'
import { holdSomewhere, RandomPull, resultOf, within } from './pull.js'
import { fileComplaints, qemuComplaints, xmlComplaints } from './verdict.js'

/** A pull that was asked for, and the chain that it makes. */
interface Request {
  readonly options: BlockPullOptions
  readonly chain: readonly Layer[]
  /** Whether QEMU would change what the guest reads: a shorter layer drops out above a base that stays. */
  readonly isUnsafe: boolean
}

/** Tells one story; null, or what went wrong. */
export async function tellRound(random: Random, temp: TempFolder): Promise<string | null> {
  const guest = await RandomGuest.make(random, temp)
  const round = new RandomRound(guest)
  const complaints = await round
    .run()
    .catch((error: unknown) => [error instanceof Error ? `${error.stack}` : `${error}`])
  await round.close().catch((error: unknown) => complaints.push(`closing: ${error}`))
  if (complaints.length === 0) {
    temp.discard(guest.folder)
    return null
  }
  await guest.live?.qemu.kill()
  const kept = temp.keep(guest.folder)
  const story = [...guest.log, `made by (files kept in '${kept}'):`, ...guest.chain.commands.map((line) => `  ${line}`)]
  return [...complaints.map((complaint) => complaint.trim()), 'what happened:', ...story].join('\n  ')
}

class RandomRound {
  #connection: Connection | null = null

  constructor(readonly guest: RandomGuest) {}

  async run(): Promise<string[]> {
    const { guest } = this
    const { random } = guest
    await guest.start()
    for (let left = random.between(2, 6); left > 0; left--) {
      const complaints = guest.live === null ? await this.#stepWhileOff() : await this.#stepWhileRunning()
      if (complaints.length > 0) return complaints
    }
    if (guest.live === null) await guest.start()
    const complaints = await this.#finishAll()
    if (complaints.length > 0) return complaints
    await guest.shutOff()
    return await fileComplaints(guest, [guest.layers])
  }

  async close(): Promise<void> {
    await within('close()', this.#connection?.close() ?? Promise.resolve())
    this.#connection = null
  }

  async #stepWhileRunning(): Promise<string[]> {
    const { guest } = this
    const what = guest.random.pick([
      'pull',
      'pull',
      'pull',
      'pull',
      'child',
      'child',
      'detached',
      'write',
      'reap',
      'off',
    ])
    if (guest.layers.length === 1 && guest.random.chance(0.8)) return await this.#snapshot()
    if (guest.layers.length < 6 && guest.random.chance(0.1)) return await this.#snapshot()
    if (what === 'pull') return await this.#pull()
    if (what === 'child') return await this.#pullInChild()
    if (what === 'detached') return await this.#pullDetached()
    if (what === 'reap') return await this.#reap()
    if (what === 'off') return await this.#turnOff()
    for (let left = guest.random.between(1, 5); left > 0; left--) await guest.write()
    return []
  }

  async #stepWhileOff(): Promise<string[]> {
    const { guest } = this
    if (guest.random.chance(0.5)) {
      await guest.start()
      return []
    }
    const domain = await this.#domain()
    const { options, chain } = this.#request()
    guest.note(`pull by our engine ${JSON.stringify(options)}`)
    const { bytesPerSecond, ...unlimited } = options
    const result = await within(
      'the offline pull',
      resultOf(domain.blockPull('vda', unlimited).then((job) => job.done)),
    )
    guest.note(`the pull: ${result}`)
    // Where no layer drops out nothing is to be written, so the image may be dirty.
    if (guest.top.isDirty && chain.length < guest.layers.length) {
      if (result !== 'FEATURE_UNSUPPORTED') return [`the pull of a dirty image: ${result}`]
      await qemuIo(guest.top.path, 'qcow2', 'flush')
      return await fileComplaints(guest, [guest.layers])
    }
    if (result !== 'completed') return [`the offline pull: ${result}`]
    return [...(await fileComplaints(guest, [chain])), ...xmlComplaints(guest)]
  }

  async #snapshot(): Promise<string[]> {
    await this.guest.snapshot()
    if (!this.guest.hasXml) await this.close()
    return []
  }

  async #turnOff(): Promise<string[]> {
    const { guest } = this
    if (guest.random.chance(0.5)) await guest.shutOff()
    else await guest.kill()
    return await fileComplaints(guest, [guest.layers])
  }

  async #pull(): Promise<string[]> {
    const { guest } = this
    const request = this.#request()
    const old = guest.layers
    const { mark } = guest.model
    const domain = await this.#domain()
    const options = guest.mayFail && guest.random.chance(0.5) ? { onError: 'stop' as const } : {}
    const pull = new RandomPull(guest, this.#connection as Connection, domain, { ...request.options, ...options })
    const mayBe = await pull.happen()
    const result = await pull.result
    if (pull.isClosed) this.#connection = null
    if (pull.complaints.length > 0) return pull.complaints
    if (request.isUnsafe && result === 'UNSUPPORTED') return await fileComplaints(guest, [old])
    if (!mayBe.includes(result)) return [`the pull ended as ${result}, it should as ${mayBe.join(' or ')}`]
    if (guest.live === null)
      return await fileComplaints(guest, result === 'completed' ? [request.chain] : [old, request.chain])
    if (result === 'completed') return await this.#judgeCompleted(request, mark)
    if (result === 'CANCELLED' || result === 'IO') {
      return [...(await fileComplaints(guest, [old])), ...(await qemuComplaints(guest))]
    }
    return await this.#recover(request, pull.wasClosedEarly)
  }

  /** A process of its own pulls and is killed, at an instant of chance. */
  async #pullInChild(): Promise<string[]> {
    const { guest } = this
    const { random } = guest
    const request = this.#request()
    if (request.isUnsafe) return []
    await this.close()
    const hold = random.chance(0.6) ? holdSomewhere(guest) : null
    guest.note(`pull in a process ${JSON.stringify(request.options)}`)
    const puller = GuestPuller.start(guest, request.options)
    const held = hold?.reached.catch(() => undefined)
    const running = puller.running().catch(() => undefined)
    await Promise.race([within('the start of a pull in a process', held ?? running), pause(3000)])
    if (random.chance(0.3)) await guest.write()
    await pause(random.below(30))
    guest.note('the process is killed')
    await puller.kill()
    guest.running.proxy?.cut()
    if (random.chance(0.15)) {
      const old = guest.layers
      await guest.kill()
      return await fileComplaints(guest, [old, request.chain])
    }
    return await this.#recover(request)
  }

  /** QEMU ends the job by itself, and a reap makes it last. */
  async #pullDetached(): Promise<string[]> {
    const { guest } = this
    const request = this.#request()
    const old = guest.layers
    const options = { ...request.options, detached: true }
    guest.note(`pull ${JSON.stringify(options)}`)
    const job = await (await this.#domain()).blockPull('vda', options).catch((error: unknown) => error as Error)
    if (job instanceof Error) return request.isUnsafe ? [] : [String(job)]
    if (guest.random.chance(0.5)) await guest.write()
    const isLeft = guest.random.chance(0.4)
    guest.note(isLeft ? 'the connection is closed' : 'its end is awaited')
    const { mark } = guest.model
    job.setBandwidth('0')
    if (isLeft) await this.close()
    const result = await within('the detached pull', resultOf(job.done))
    const mayBe = ['completed', ...(isLeft ? ['CLOSED'] : []), ...(guest.mayFail ? ['IO'] : [])]
    if (!mayBe.includes(result)) return [`the detached pull ended as ${result}`]
    await this.#reaped()
    guest.model.flushedUpTo(mark)
    const chains = result === 'completed' ? [request.chain] : result === 'IO' ? [old] : [old, request.chain]
    return await this.#judgeReaped(chains)
  }

  /** A job may have been left in QEMU; it is brought to an end, in one of the ways. */
  async #recover(request: Request, isCancelledLate = false): Promise<string[]> {
    const { guest } = this
    const old = guest.layers
    const how = guest.random.pick(['again', 'again', 'reap', 'speed'])
    guest.note(`recover: ${how}`)
    const domain = await this.#domain()
    if (how === 'speed') await resultOf(domain.blockJobSetSpeed('vda', '0'))
    if (how !== 'again') {
      await this.#reaped(isCancelledLate ? ['JOB_FAILED'] : [])
      return await this.#judgeReaped([old, request.chain])
    }
    const { mark } = guest.model
    const { bytesPerSecond, ...options } = request.options
    const pulled = async (by = domain) => resultOf(by.blockPull('vda', options).then((job) => job.done))
    let result = await within('the pull again', pulled())
    guest.note(`the pull again: ${result}`)
    if (isCancelledLate && /JOB_(ACTIVE|FAILED)/.test(result)) {
      await this.#reaped(['JOB_FAILED'])
      result = await within('the pull again', pulled(await this.#domain()))
    }
    if (result === 'completed') return await this.#judgeCompleted(request, mark)
    // Where the pull had ended before, its base may be the whole chain that is left.
    const mayBe = [...(guest.mayFail ? ['IO'] : []), ...(request.isUnsafe ? ['UNSUPPORTED'] : [])]
    if (!mayBe.includes(result)) return [`the pull again ended as ${result}`]
    return [...(await fileComplaints(guest, [old])), ...(await qemuComplaints(guest))]
  }

  async #judgeCompleted({ chain }: Request, mark: number): Promise<string[]> {
    const { guest } = this
    guest.model.flushedUpTo(mark)
    return [...(await fileComplaints(guest, [chain])), ...(await qemuComplaints(guest)), ...xmlComplaints(guest)]
  }

  async #reap(): Promise<string[]> {
    const { guest } = this
    const { mark } = guest.model
    await this.#reaped()
    guest.model.flushedUpTo(mark)
    return await this.#judgeReaped([guest.layers])
  }

  /** Whatever has ended by then, the XML states it. */
  async #judgeReaped(chains: readonly (readonly Layer[])[]): Promise<string[]> {
    const { guest } = this
    return [...(await fileComplaints(guest, chains)), ...(await qemuComplaints(guest)), ...xmlComplaints(guest)]
  }

  /** Reaps, with no limit on what is left. */
  async #reaped(mayBe: readonly string[] = []): Promise<void> {
    const { guest } = this
    const domain = await this.#domain()
    guest.note('reap')
    const client = await guest.running.client()
    const lifted = guest.running.jobs().then((jobs) => {
      for (const { id } of jobs) client.send('block-job-set-speed', { device: id, speed: 0 })
    })
    const reaped = await within('reap()', domain.reap())
    await lifted
    const ends = reaped.map(({ outcome }) => outcome.error?.code ?? outcome.state)
    guest.note(`reaped: ${ends.join(', ')}`)
    const wrong = ends.filter((end) => !['completed', ...mayBe, ...(guest.mayFail ? ['IO'] : [])].includes(end))
    if (wrong.length > 0) throw new Error(`what was reaped ended as ${wrong.join(', ')}`)
  }

  /** A full pull, and a look at everything. */
  async #finishAll(): Promise<string[]> {
    const { guest } = this
    const chain = [guest.top]
    const { mark } = guest.model
    const pulled = async () => resultOf((await this.#domain()).blockPull('vda').then((job) => job.done))
    let result = await within('the last pull', pulled())
    if (result === 'IO' && guest.mayFail) result = await within('the last pull', pulled())
    guest.note(`the last pull: ${result}`)
    if (result !== 'completed') return [`the last pull ended as ${result}`]
    return await this.#judgeCompleted({ options: {}, chain, isUnsafe: false }, mark)
  }

  /** The domain, through the connection that there is or a new one. */
  async #domain(): Promise<Domain> {
    if (this.#connection !== null && this.guest.random.chance(0.4)) await this.close()
    this.#connection ??= await connect(this.guest.target)
    return await this.#connection.lookupByName('vm0')
  }

  #request(): Request {
    const { random, layers, mayFail } = this.guest
    const { bytesPerSecond } = { bytesPerSecond: random.chance(0.6) ? random.scaled(1 << 16, 1 << 23) : 0 }
    const limit = bytesPerSecond > 0 ? { bytesPerSecond } : {}
    const at = random.between(1, layers.length)
    const base = layers[at]
    // The name of a layer that may fail is none that a header could state.
    if (base === undefined || mayFail || random.chance(0.4)) {
      return { options: limit, chain: layers.slice(0, 1), isUnsafe: false }
    }
    const [{ size: topSize } = { size: 0 }] = layers
    const isUnsafe = layers.slice(1, at).some(({ size }) => size < topSize && size < base.size)
    return { options: { ...limit, base: base.path }, chain: [layers[0] as Layer, ...layers.slice(at)], isUnsafe }
  }
}
