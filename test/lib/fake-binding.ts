// SPDX-License-Identifier: Apache-2.0
//
// A binding without an addon: it writes down what it was asked and answers what the test says.
//
// `FakeJob` is a job whose updates the test sends; `FakeBinding` answers every call with an empty, plausible value
// unless the test has put a failure in `failures` under the call's name. Nothing in it decides anything.

import type {
  NativeBinding,
  NativeBlockJobEvent,
  NativeCheckReport,
  NativeComparison,
  NativeConnection,
  NativeDomain,
  NativeEventNotice,
  NativeFailure,
  NativeImageInfo,
  NativeJob,
  NativeJobUpdate,
  NativeLayer,
  NativeOutcome,
  NativePlan,
  NativeProgress,
  NativeReapedJob,
  NativeWalk,
  NativeWalkProgress,
} from '../../lib/native.js'

export const mebibyte = 2n ** 20n

export function failure(code: string, more: Partial<NativeFailure> = {}): NativeFailure {
  return {
    code,
    message: `${code} happened in 'a.qcow2'`,
    virCode: 9,
    virDomain: 10,
    virLevel: 2,
    errno: null,
    syscall: null,
    qemu: null,
    path: null,
    pathBytes: null,
    offset: null,
    holder: null,
    bytesNeeded: null,
    hint: null,
    cause: null,
    ...more,
  }
}

export const soundReport: NativeCheckReport = {
  errors: 0n,
  leaks: 0n,
  notes: 0n,
  findings: [],
  totalClusters: 3200n,
  allocatedClusters: 800n,
  compressedClusters: 0n,
  clusterSize: 65536n,
  snapshots: 0,
  bitmaps: 0,
  imageEnd: 60n * mebibyte,
  repaired: null,
}

export const plainInfo: NativeImageInfo = {
  path: 'a.qcow2',
  pathBytes: null,
  format: 'qcow2',
  virtualSize: 200n * mebibyte,
  allocatedBytes: 60n * mebibyte,
  fileSize: 61n * mebibyte,
  backingFile: 'base.raw',
  backingFormat: 'raw',
  inUseBy: null,
  qcow2: {
    version: 3,
    clusterSize: 65536n,
    refcountBits: 16,
    compression: 'zstd',
    features: ['compression-type', 'bitmaps'],
    encryption: null,
    dataFile: null,
    snapshots: [{ id: '1', name: 'clean', seconds: 1_700_000_000, vmStateBytes: 0n, diskSize: 200n * mebibyte }],
    bitmaps: [{ name: 'backup', granularity: 65536n, inUse: false, recording: true }],
  },
}

export function progressAt(cur: bigint, more: Partial<NativeProgress> = {}): NativeProgress {
  return {
    state: 'running',
    cur: cur * mebibyte,
    end: 100n * mebibyte,
    bytesMoved: cur * mebibyte,
    bytesToMove: 100n * mebibyte,
    bytesPerSecond: 10n * mebibyte,
    bandwidth: 0n,
    method: 'io_uring',
    stoppedOn: null,
    phase: 'moving',
    silentNs: 0n,
    ...more,
  }
}

export function outcomeOf(state: NativeOutcome['state'], error = failure('IO')): NativeOutcome {
  const ending = {
    bytesMoved: 100n * mebibyte,
    seconds: 2,
    method: 'io_uring',
    released: ['/srv/base.qcow2'],
    releasedBytes: null,
    warnings: [],
    verified: state === 'completed',
    durable: state === 'completed',
    trailingData: null,
  }
  return state === 'completed' ? { ...ending, state, error: null } : { ...ending, state, error }
}

export const planOf = (more: Partial<NativePlan> = {}): NativePlan => ({
  bytesToMove: 100n * mebibyte,
  bytesToAllocate: 101n * mebibyte,
  bytesFree: 1000n * mebibyte,
  trailingData: null,
  virtualSize: 200n * mebibyte,
  method: 'io_uring',
  seconds: null,
  refusals: [],
  released: ['/srv/base.qcow2'],
  releasedBytes: null,
  base: null,
  ...more,
})

export const layerOf = (path: string, more: Partial<NativeLayer> = {}): NativeLayer => ({
  path,
  pathBytes: null,
  format: 'qcow2',
  virtualSize: 200n * mebibyte,
  allocatedBytes: 50n * mebibyte,
  fileSize: 60n * mebibyte,
  clusterSize: 65536n,
  visibleBytes: 50n * mebibyte,
  dataBytes: 50n * mebibyte,
  backingFile: null,
  backingFormat: null,
  inUseBy: null,
  ...more,
})

export class FakeJob implements NativeJob {
  readonly calls: string[] = []
  latest = progressAt(0n)
  /** What `abort` ends the job with, `null` to leave it to the test. */
  onAbort: NativeOutcome | null = outcomeOf('cancelled', failure('CANCELLED'))
  readonly #send: (update: NativeJobUpdate) => void

  constructor(send: (update: NativeJobUpdate) => void) {
    this.#send = send
  }

  move(cur: bigint, more: Partial<NativeProgress> = {}): void {
    this.latest = progressAt(cur, more)
    this.#send({ progress: this.latest, outcome: null })
  }

  end(outcome: NativeOutcome): void {
    const state = outcome.state
    this.latest = progressAt(state === 'completed' ? 100n : 40n, { state, bytesPerSecond: 0n })
    this.#send({ progress: this.latest, outcome })
  }

  progress(): NativeProgress {
    return this.latest
  }

  abort(): void {
    this.calls.push('abort')
    const outcome = this.onAbort
    if (outcome !== null) queueMicrotask(() => this.end(outcome))
  }

  setBandwidth({ bandwidth }: { readonly bandwidth: bigint }): void {
    this.calls.push(`setBandwidth ${bandwidth}`)
    this.latest = { ...this.latest, bandwidth }
  }

  ref(): void {
    this.calls.push('ref')
  }

  unref(): void {
    this.calls.push('unref')
  }
}

/** A walk that is where the test says; the call that it was made for goes on until the test ends it. */
export class FakeWalk implements NativeWalk {
  latest: NativeWalkProgress | null = null
  /** Runs when the walk is given up. */
  onGiveUp: () => void = () => undefined

  progress(): NativeWalkProgress | null {
    return this.latest
  }

  giveUp(): void {
    this.onGiveUp()
  }
}

export const vm0: NativeDomain = {
  name: 'vm0',
  uuid: 'c7a5fdbd-edaf-9455-926a-d65c16db1809',
  id: -1,
  state: 5,
  disks: [{ target: 'vda', source: '/srv/vm0.qcow2', format: 'qcow2', backingFormats: [] }],
  error: null,
}

/** What the addon makes of a change: event 8 with a path, event 16 with a target, heard by these registrations. */
export function noticesOf(path: string, target: string, ids8: number[], ids16: number[]): NativeEventNotice[] {
  const second = { event: 16, disk: target, registrations: ids16 }
  return path === '' ? [second] : [{ event: 8, disk: path, registrations: ids8 }, second]
}

export class FakeBinding implements NativeBinding {
  readonly version = '0.0.0'
  /** Every call in order: its name and its request. */
  readonly calls: { readonly name: string; readonly request: unknown }[] = []
  /** Failures by name of the call. */
  readonly failures = new Map<string, unknown>()
  readonly jobs: FakeJob[] = []
  /** The walk of every call that has one. */
  walk = new FakeWalk()
  domains: NativeDomain[] = [vm0]
  /** What `listDisks` answers; default: what the domain looked up has. */
  guestDisks: NativeDomain['disks'] | null = null
  reaped: readonly NativeReapedJob[] = []
  nextRegistration = 0
  info: Awaited<ReturnType<NativeConnection['blockJobInfo']>> = null
  nextPlan = planOf()
  report: NativeCheckReport = soundReport
  imageHeader: NativeImageInfo = plainInfo
  comparison: NativeComparison = { firstDifference: null, aSize: 200n * mebibyte, bSize: 200n * mebibyte }
  layers: NativeLayer[] = [layerOf('/srv/a.qcow2')]
  /** Runs when a job starts, before the call that started it resolves. */
  onStart: (job: FakeJob) => void = () => undefined
  /** Calls, by name or by name and UUID, that wait for endWaits() or the end of the connection. */
  readonly untilClosed = new Set<string>()
  #endings: ((reason: NativeFailure) => void)[] = []
  /** Runs when a start is given up. */
  onGiveUp: () => void = () => undefined
  send: (event: NativeBlockJobEvent) => void = () => undefined

  /** The request of the last call. */
  get last(): Record<string, unknown> {
    return (this.calls.at(-1)?.request ?? {}) as Record<string, unknown>
  }

  get job(): FakeJob {
    const job = this.jobs.at(-1)
    if (job === undefined) throw new Error('no job was started')
    return job
  }

  readonly openConnection: NativeBinding['openConnection'] = async (request, onEvent) => {
    this.send = onEvent
    return await this.#answer('openConnection', request, () => this.#connection(request.uri ?? 'described'))
  }

  readonly pullImage: NativeBinding['pullImage'] = async (request, onUpdate) =>
    await this.#answer('pullImage', request, () => this.#start(onUpdate))

  readonly newWalk: NativeBinding['newWalk'] = () => this.walk

  readonly planImage: NativeBinding['planImage'] = async (request) =>
    await this.#answer('planImage', request, () => this.nextPlan)

  readonly inspectChain: NativeBinding['inspectChain'] = async (request) =>
    await this.#answer('inspectChain', request, () => this.layers)

  readonly createImage: NativeBinding['createImage'] = async (request) =>
    await this.#answer('createImage', request, () => undefined)

  readonly digestImage: NativeBinding['digestImage'] = async (request) =>
    await this.#answer('digestImage', request, () => ({ sha256: 'ab'.repeat(32), bytes: 200n * mebibyte }))

  readonly checkImage: NativeBinding['checkImage'] = async (request) =>
    await this.#answer('checkImage', request, () => this.report)

  readonly imageInfo: NativeBinding['imageInfo'] = async (request) =>
    await this.#answer('imageInfo', request, () => this.imageHeader)

  readonly compareImages: NativeBinding['compareImages'] = async (a, b) =>
    await this.#answer('compareImages', [a, b], () => this.comparison)

  #connection(uri: string): NativeConnection {
    const findDomain = () => {
      const [domain] = this.domains
      if (domain === undefined) throw failure('NO_DOMAIN', { virCode: 42 })
      return domain
    }
    return {
      uri,
      listDomains: async (request) => await this.#answer('listDomains', request, () => this.domains),
      lookupDomain: async (request) => await this.#answer('lookupDomain', request, findDomain),
      defineXml: async (request) => await this.#answer('defineXml', request, findDomain),
      domainXml: async (request) => await this.#answer('domainXml', request, () => '<domain/>'),
      listDisks: async (request) =>
        await this.#answer('listDisks', request, () => this.guestDisks ?? findDomain().disks),
      registerEvent: async (request) => await this.#answer('registerEvent', request, () => this.nextRegistration++),
      deregisterEvent: async (request) => await this.#answer('deregisterEvent', request, () => undefined),
      blockPull: async (request, onUpdate) => await this.#answer('blockPull', request, () => this.#start(onUpdate)),
      giveUp: (request) => {
        this.calls.push({ name: 'giveUp', request })
        this.onGiveUp()
      },
      newWalk: this.newWalk,
      plan: async (request) => await this.#answer('plan', request, () => this.nextPlan),
      blockJobInfo: async (request) => await this.#answer('blockJobInfo', request, () => this.info),
      blockJobSetSpeed: async (request) => await this.#answer('blockJobSetSpeed', request, () => undefined),
      blockJobResume: async (request) => await this.#answer('blockJobResume', request, () => undefined),
      blockJobAbort: async (request) => await this.#answer('blockJobAbort', request, () => undefined),
      reapJobs: async (request) => await this.#answer('reapJobs', request, () => this.reaped),
      close: async () => {
        this.endWaits(failure('CLOSED'))
        await this.#answer('close', {}, () => undefined)
      },
    }
  }

  /** Ends all calls that wait. */
  endWaits(reason: NativeFailure): void {
    for (const end of this.#endings.splice(0)) end(reason)
  }

  #start(onUpdate: (update: NativeJobUpdate) => void): FakeJob {
    const job = new FakeJob(onUpdate)
    this.jobs.push(job)
    this.onStart(job)
    return job
  }

  async #answer<T>(name: string, request: unknown, answer: () => T): Promise<T> {
    this.calls.push({ name, request })
    await Promise.resolve()
    const { uuid = '' } = request as { readonly uuid?: string }
    if (this.untilClosed.has(name) || this.untilClosed.has(`${name} ${uuid}`)) {
      await new Promise((_, reject) => this.#endings.push(reject))
    }
    if (this.failures.has(name)) throw this.failures.get(name)
    return answer()
  }
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
