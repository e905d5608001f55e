// SPDX-License-Identifier: Apache-2.0
//
// The modelled QEMU: its disks, its jobs and whether the guest runs. It knows no socket and no JSON; commands.mjs
// calls it, and what it raises goes to whoever made it. It outlives connections, as QEMU does.

import { BlockAnswers } from './block-answers.mjs'
import { BlockGraph } from './block-graph.mjs'
import { ImageFiles } from './image-files.mjs'
import { Migration } from './migration.mjs'
import { QemuCrash, QmpFailure } from './qmp-failure.mjs'
import { StreamJob } from './stream-job.mjs'
import { numberOf } from './versions.mjs'

/** @typedef {import('./types.js').Emit} Emit */
/** @typedef {import('./types.js').VersionProfile} VersionProfile */
/** @typedef {import('./block-graph.mjs').BlockNode} BlockNode */

/** The arguments of block-stream, checked for their types.
 * @typedef {{ device: string, 'job-id'?: string, base?: string, 'base-node'?: string, bottom?: string,
 *   'backing-file'?: string, speed?: number, 'on-error'?: string, 'filter-node-name'?: string,
 *   'auto-finalize'?: boolean, 'auto-dismiss'?: boolean }} StreamArguments */

export class Machine {
  /** @type {NodeJS.Timeout | undefined} */
  #ticker
  #emit
  #crash
  /** @type {Map<string, StreamJob>} */
  jobs = new Map()
  hasQuit = false

  /** @param {import('./types.js').PeerOptions & { version: VersionProfile }} options @param {Emit} emit
   * @param {() => void} crash what it means to die while no command is carried out */
  constructor(options, emit, crash) {
    this.version = options.version
    this.name = options.name
    this.uuid = options.uuid ?? '00000000-0000-0000-0000-000000000000'
    this.threadId = options.threadId === undefined ? process.pid : options.threadId
    this.graph = new BlockGraph(options.disks ?? [])
    this.answers = new BlockAnswers(this.graph, options.version, () => this.isActive)
    this.files = new ImageFiles(options.disks ?? [], options.lie ?? {}, this.graph)
    this.migration = new Migration(this)
    this.runState = options.runState ?? (options.isStopped ? 'prelaunch' : 'running')
    this.tickMs = options.tickMs ?? 5
    this.progressPerTick = options.progressPerTick ?? 0
    this.#emit = emit
    this.#crash = crash
  }

  /** Whether QEMU may write to its images: a migration gives them away. */
  get isActive() {
    return this.runState !== 'inmigrate' && !this.migration.hasImages
  }

  get versionNumber() {
    return numberOf(this.version)
  }

  /** @param {string} id */
  job(id) {
    const job = this.jobs.get(id)
    if (job === undefined) throw new QmpFailure('Job not found')
    return job
  }

  /** The same in the words of the older commands. @param {string} id */
  blockJob(id) {
    const job = this.jobs.get(id)
    if (job === undefined) throw new QmpFailure(`Block job '${id}' not found`, 'DeviceNotActive')
    return job
  }

  /** @param {StreamArguments} args */
  startStream(args) {
    const top = this.graph.find(args.device)
    const base = this.#baseOf(top, args)
    const touched = this.graph.chain(top, base)
    const taken = touched.find((node) => node.user !== undefined)
    if (taken) throw this.#busy(taken, args.device)
    const backingFile = args['backing-file']
    if (backingFile !== undefined && (base === undefined || args.bottom !== undefined)) {
      throw new QmpFailure('backing file specified, but streaming the entire chain')
    }
    const options = this.#jobOptions(args, touched)
    this.#checkJobId(options.id)
    if (args['filter-node-name'] !== undefined && this.graph.named(args['filter-node-name'])) {
      const name = args['filter-node-name']
      throw new QmpFailure(`Could not create node: Duplicate nodes with node-name='${name}'`)
    }
    if (!this.isActive) throw new QmpFailure(`Could not create node: ${this.#inactive(top, 'file')}`)
    const isRefused = options.speed < 0
    const hold = this.#hold(touched, isRefused ? undefined : args['filter-node-name'], options.id)
    const job = new StreamJob(options, this.#emit, {
      canWrite: () => this.isActive,
      copied: () => this.files.fill(touched),
      succeeded: () => this.#succeed(touched, base, backingFile),
      unwound: hold.removeFilter,
      gone: () => {
        this.jobs.delete(options.id)
        hold.release()
        if (this.jobs.size === 0) this.setPace()
      },
    })
    this.jobs.set(options.id, job)
    job.start(isRefused)
    if (isRefused) throw new QmpFailure("Parameter 'speed' expects a non-negative value")
    this.setPace()
  }

  /** @param {boolean} runs @param {string} [runState] */
  setRunning(runs, runState = runs ? 'running' : 'paused') {
    const wasActive = this.isActive
    if (runs) this.migration.giveBack()
    if (runs !== (this.runState === 'running')) this.#emit(runs ? 'RESUME' : 'STOP')
    this.runState = runState
    for (const job of this.jobs.values()) if (!runs || !wasActive) job.drain()
  }

  /** Adds a filter that flushes what it stands on.
   * @param {string} image @param {string} name @param {boolean} writes */
  addFlushFilter(image, name, writes) {
    const over = this.graph.find(image)
    const isRefused = !this.isActive && (writes || this.versionNumber >= 1000)
    if (isRefused) throw new QmpFailure(this.#inactive(over, 'image', name))
    this.graph.addFilter(over, name)
  }

  /** Moves a job by hand. @param {StreamJob} job @param {number} bytes */
  advance(job, bytes) {
    try {
      job.advance(bytes)
    } catch (failure) {
      if (!(failure instanceof QemuCrash)) throw failure
      this.#crash()
    }
  }

  quit() {
    this.#emit('SHUTDOWN', { guest: false, reason: 'host-qmp-quit' })
    for (const job of [...this.jobs.values()]) if (job.status !== 'concluded') job.cancel(true)
    this.hasQuit = true
  }

  /** Stops the clock that moves jobs; nothing of the machine is used after. */
  stop() {
    clearInterval(this.#ticker)
    this.files.close()
  }

  /** Starts, changes or stops the clock as the pace and the jobs that there are want it. */
  setPace() {
    clearInterval(this.#ticker)
    this.#ticker = undefined
    if (this.progressPerTick <= 0 || this.jobs.size === 0) return
    this.#ticker = setInterval(() => {
      for (const job of [...this.jobs.values()]) this.advance(job, this.progressPerTick)
    }, this.tickMs)
  }

  /**
   * All nodes, newest first. A stream that is concluded and not dismissed still holds its filter, which has nothing
   * below it any more; QEMU follows that null pointer and dies (SIGSEGV), whichever disk the stream was of. Seen on
   * 7.2; upstream knows it as issue 3149, which was open at 10.1. Filters came with 6.0.
   * @param {boolean} flat
   */
  queryNodes(flat) {
    const isLeftOver = [...this.jobs.values()].some((job) => job.status === 'concluded')
    if (isLeftOver && this.versionNumber >= 600) throw new QemuCrash('the nodes were listed beside a concluded stream')
    return this.answers.queryNodes(flat)
  }

  queryEdges() {
    const holders = [...this.jobs.values()].filter((job) => job.status !== 'concluded')
    return this.answers.queryEdges(holders.map(({ id }) => id))
  }

  /** The image that stays, or undefined where none does. @param {BlockNode} top @param {StreamArguments} args */
  #baseOf(top, { device, base, 'base-node': baseNode, bottom }) {
    for (const [one, other] of [
      ['base', 'base-node'],
      ['base', 'bottom'],
      ['bottom', 'base-node'],
    ]) {
      const given = { base, 'base-node': baseNode, bottom }
      if (given[/** @type {'base'} */ (one)] === undefined || given[/** @type {'base'} */ (other)] === undefined)
        continue
      throw new QmpFailure(`'${one}' and '${other}' cannot be specified at the same time`)
    }
    const below = this.graph.chain(top.backing)
    if (base !== undefined) {
      const found = below.find((node) => node.filename === base)
      if (found === undefined) throw new QmpFailure(`Can't find '${base}' in the backing chain`)
      return found
    }
    if (baseNode !== undefined) {
      const found = this.graph.find('', baseNode)
      if (!below.includes(found)) throw new QmpFailure(`Node '${baseNode}' is not a backing image of '${device}'`)
      return found
    }
    if (bottom === undefined) return undefined
    const last = this.graph.find('', bottom)
    if (last === top || below.includes(last)) return last.backing
    throw new QmpFailure(`Node '${bottom}' is not in a chain starting from '${device}'`)
  }

  /** @param {StreamArguments} args @param {BlockNode[]} touched */
  #jobOptions(args, touched) {
    return {
      id: args['job-id'] ?? (touched[0] ? this.graph.deviceOf(touched[0]) : ''),
      length: touched.length > 1 ? (touched[0]?.size ?? 0) : 0,
      speed: args.speed ?? 0,
      onError: args['on-error'] ?? 'report',
      autoFinalize: args['auto-finalize'] ?? true,
      autoDismiss: args['auto-dismiss'] ?? true,
    }
  }

  /** @param {string} id */
  #checkJobId(id) {
    if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(id)) throw new QmpFailure(`Invalid job ID '${id}'`)
    if (this.jobs.has(id)) throw new QmpFailure(`Job ID '${id}' already in use`)
  }

  /** Puts the filter over the top, until the job unwinds, and keeps other jobs off the images, until it is gone.
   * @param {BlockNode[]} touched @param {string | undefined} filterName @param {string} jobId */
  #hold(touched, filterName, jobId) {
    const [top] = touched
    let filter = top && this.versionNumber >= 600 ? this.graph.insertFilter(top, filterName) : undefined
    for (const node of touched) node.user = jobId
    if (filter) filter.user = jobId
    const removeFilter = () => {
      if (filter) this.graph.removeFilter(filter)
      filter = undefined
    }
    const release = () => {
      removeFilter()
      for (const node of touched) node.user = undefined
    }
    return { removeFilter, release }
  }

  /** QEMU 7.2 and 10.0 die of a header that they are to write while their images are inactive.
   * @param {BlockNode[]} touched @param {BlockNode | undefined} base @param {string | undefined} backingFile */
  #succeed([top], base, backingFile) {
    if (top === undefined) return
    if (backingFile !== undefined && backingFile.length > 1023) throw new QmpFailure('Invalid argument')
    if (top.backing === base && backingFile === undefined) return
    if (!this.isActive) throw new QemuCrash('a stream was finalized while its images were inactive')
    for (const node of this.graph.dropBetween(top, base, backingFile)) this.files.drop(node)
    this.files.state(top)
  }

  /** What is said of a node that is to have a filter above it while the images are inactive.
   * @param {BlockNode} node @param {string} edge @param {string} [filter] */
  #inactive(node, edge, filter = '#block999') {
    if (this.versionNumber < 1000) return 'Block node is read-only'
    return `Inactive '${node.name}' can't be a ${edge} child of active '${filter}'`
  }

  /** Under a filter the drive is no longer right above the image, and QEMU then names the node.
   * @param {BlockNode} node @param {string} given as the command named the top */
  #busy(node, given) {
    const device = this.graph.drives.some((drive) => drive.device === given) ? given : this.graph.deviceOf(node)
    return new QmpFailure(`Node '${device || node.name}' is busy: block device is in use by block job: stream`)
  }
}
