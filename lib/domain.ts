// SPDX-License-Identifier: Apache-2.0
//
// A domain: libvirt's block-job calls on its disks, with options instead of flags.
//
// Every method reads its arguments, makes one native call and gives a plain value or a BlockJob. Bandwidths are bytes a
// second here, so every request carries libvirt's flag for bytes. A domain keeps only its identity: two objects for one
// domain are interchangeable, and a job belongs to the disk, not to the object.

import { type BlockJob, startJob } from './job/block-job.js'
import { walked } from './job/walks.js'
import * as vir from './libvirt/constants.js'
import type { NativeBlockPullRequest, NativeConnection, NativeDomain } from './native.js'
import { checkString } from './options/argument-checks.js'
import type {
  BlockJobAbortOptions,
  BlockPullOptions,
  BlockRebaseOptions,
  DiskPlanOptions,
  Limit,
  SizeOptions,
} from './options/option-types.js'
import { type DiskPull, readAsync, readBigint, readDiskPlan, readDiskPull, readNewLimit } from './options/options.js'
import { type BlockPullError, called, errorFromNative } from './results/errors.js'
import { sizeReader, toBlockJobInfo, toDisk, toOutcome, toPlan } from './results/results.js'
import type { BlockJobInfo, Disk, Plan, ReapedJob } from './results/structs.js'
import { type DomainState, domainStates } from './words/enumerations.js'

/** Payload of a connection's `jobFailed` event: a job failed and nobody awaited `job.done`. */
export interface JobFailure {
  readonly domain: { readonly name: string; readonly uuid: string }
  /** The disk as it was named in the call. */
  readonly disk: string
  readonly error: BlockPullError
  readonly job: BlockJob | BlockJob<bigint>
}

/** The ticket of the last pull that this process started; each has its own. */
let lastTicket = 0n

/** A domain of a connection; `connection.lookupByName` and its like give these. */
export class Domain {
  readonly name: string
  readonly uuid: string
  /** libvirt's number, if the domain ran when it was looked up; otherwise `null`. */
  readonly id: number | null
  /** 'running', 'shut off', ... when the domain was looked up. */
  readonly state: DomainState
  /** Its disks when it was looked up. */
  readonly disks: readonly Disk[]
  /**
   * From `listAllDomains`: why nothing more is known about it, or `null`. For example, its XML cannot be read, or its
   * socket cannot be asked. `state` is then 'no state', and every call rejects with this error.
   */
  readonly error: BlockPullError | null
  readonly #native: NativeConnection
  readonly #onJobFailed: (failure: JobFailure) => void

  /** @internal */
  constructor(native: NativeConnection, domain: NativeDomain, onJobFailed: (failure: JobFailure) => void) {
    this.name = domain.name
    this.uuid = domain.uuid
    this.id = domain.id < 0 ? null : domain.id
    this.state = domainStates[domain.state] ?? 'no state'
    this.disks = domain.disks.map(toDisk)
    this.error = domain.error === null ? null : errorFromNative(domain.error)
    this.#native = native
    this.#onJobFailed = onJobFailed
  }

  /**
   * Fills a disk from its backing chain, down to `base` or completely; resolves once the job runs. `disk` is the target
   * (`vda`) or the path of the active layer. Without a limit the job runs as fast as the storage allows.
   *
   * QEMU pulls the disk of a running guest; our own engine pulls a shut-off disk.
   *
   * Rejects with `NO_DOMAIN`, `NO_DISK`, `NO_BASE`, `JOB_ACTIVE` (the disk has a job), `LOCKED` (`holder` says by
   * whom), `UNSUPPORTED` (the disk is no local file; QEMU would damage it, or is too old; `onError` of a disk that is
   * shut off), `READ_ONLY`, `NOT_FOUND`,
   * `ACCESS_DENIED`, `FORMAT_UNKNOWN`, `FEATURE_UNSUPPORTED`, `IMAGE_CORRUPT`, `CHAIN_LOOP`, `POLICY`, `CLOSED`;
   * while the guest runs also with `MONITOR_BUSY`, `MONITOR_LOST`, `MONITOR_TIMEOUT`, `QEMU_ERROR`,
   * `GUEST_BUSY` (it is being migrated or saved), and with `INVALID_ARGUMENT` where its socket is no QMP monitor.
   * After a rejection nothing has been written.
   *
   * The call waits for a QEMU that does not answer until `monitorTimeouts` expire, or two seconds after `signal` is
   * aborted: `MONITOR_TIMEOUT`. If `qemu.command` is then 'block-stream', QEMU may still start the pull, and `reap`
   * finishes it.
   *
   * ```js
   * const job = await domain.blockPull('vda', { bandwidth: '50MiB/s' })
   * for await (const { cur, end } of job) console.log(cur, 'of', end)
   * const { bytesMoved, released } = await job.done
   * ```
   */
  blockPull(disk: string, options: BlockPullOptions & { readonly bigint: true }): Promise<BlockJob<bigint>>
  blockPull(disk: string, options?: BlockPullOptions): Promise<BlockJob>
  async blockPull(disk: string, options?: BlockPullOptions): Promise<BlockJob | BlockJob<bigint>> {
    const pull = readDiskPull('blockPull', options, false)
    return await this.#start(pull, pullRequest(this.uuid, checkString('disk', disk), pull))
  }

  /**
   * `blockPull` under the rules of virDomainBlockRebase: with `relative` the name of `base` stays relative. Defaults
   * and errors are those of `blockPull`.
   */
  blockRebase(disk: string, options: BlockRebaseOptions & { readonly bigint: true }): Promise<BlockJob<bigint>>
  blockRebase(disk: string, options?: BlockRebaseOptions): Promise<BlockJob>
  async blockRebase(disk: string, options?: BlockRebaseOptions): Promise<BlockJob | BlockJob<bigint>> {
    const pull = readDiskPull('blockRebase', options, true)
    const request = pullRequest(this.uuid, checkString('disk', disk), pull)
    const flags =
      vir.VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES | (pull.relative ? vir.VIR_DOMAIN_BLOCK_REBASE_RELATIVE : 0)
    return await this.#start(pull, { ...request, call: 'virDomainBlockRebase', flags })
  }

  /**
   * What `blockPull` would do: bytes to move and to allocate, and the time at the limit. `refusals` lists what would
   * refuse it, the first in the words of `blockPull` itself. Changes nothing and takes no lock; QEMU is only queried.
   *
   * Under a running guest the numbers are a snapshot, counted in the tables of the files that QEMU has open. If these
   * cannot be read from here, `bytesFree` is `null`, and the other numbers are estimates from what QEMU reports. A job
   * on the disk is one of the refusals. A plan cannot foresee what QEMU refuses only when the job starts.
   *
   * Rejects with `NO_DOMAIN`, `NO_DISK`, `NO_BASE`, `CLOSED`; while the guest runs also with `MONITOR_BUSY`,
   * `MONITOR_LOST`, `MONITOR_TIMEOUT`, `QEMU_ERROR`; while it is shut off with `JOB_ACTIVE` (the disk has a job),
   * `UNSUPPORTED` (the disk is no local file), and as `inspectChain` does when the chain cannot be read. If a pull
   * would be refused before it reads the chain, it rejects as the pull does (`LOCKED`, `JOB_ACTIVE`). Once `signal` is
   * aborted it rejects with an `AbortError`. With `readData` it also reads what would be moved; a running domain
   * refuses that with `UNSUPPORTED`.
   *
   * ```js
   * const { bytesToMove, seconds, refusals } = await domain.plan('vda', { bandwidth: '50MiB/s' })
   * if (refusals.length === 0) console.log(bytesToMove, 'bytes in', seconds, 'seconds')
   * ```
   */
  plan(disk: string, options: DiskPlanOptions<bigint> & { readonly bigint: true }): Promise<Plan<bigint>>
  plan(disk: string, options?: DiskPlanOptions): Promise<Plan>
  async plan(disk: string, options?: DiskPlanOptions<never>): Promise<Plan | Plan<bigint>> {
    const read = readDiskPlan(options)
    const request = { ...pullRequest(this.uuid, checkString('disk', disk), read), readData: read.readData }
    const native = this.#native
    const plan = await walked(
      read,
      () => native.newWalk(),
      (walk) => native.plan(request, walk),
    )
    return toPlan(plan, sizeReader<number>(read.bigint))
  }

  /**
   * The job of a disk, or `null` if it has none. The answer comes from memory if this connection has the job. Otherwise
   * the call looks up the domain, and inspects the file or asks QEMU. Rejects with `NO_DOMAIN`, `NO_DISK`, `CLOSED`,
   * and with `MONITOR_BUSY`, `MONITOR_LOST`, `MONITOR_TIMEOUT` while the guest runs.
   *
   * ```js
   * const info = await domain.blockJobInfo('vda')
   * if (info !== null) console.log(info.cur, 'of', info.end, 'at most', info.bandwidth, 'bytes a second')
   * ```
   */
  blockJobInfo(disk: string, options: SizeOptions & { readonly bigint: true }): Promise<BlockJobInfo<bigint> | null>
  blockJobInfo(disk: string, options?: SizeOptions): Promise<BlockJobInfo | null>
  async blockJobInfo(disk: string, options?: SizeOptions): Promise<BlockJobInfo | BlockJobInfo<bigint> | null> {
    const bigint = readBigint('blockJobInfo', options)
    const request = {
      uuid: this.uuid,
      disk: checkString('disk', disk),
      flags: vir.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES,
    }
    const info = await called(() => this.#native.blockJobInfo(request))
    return info === null ? null : toBlockJobInfo(info, sizeReader<number>(bigint))
  }

  /**
   * Sets the limit of a disk's job, '50MiB/s' or `{ bytesPerSecond: n }`; '0' lifts it. Rejects with `NO_DOMAIN`,
   * `NO_DISK`, `NO_JOB`, `READ_ONLY`, `CLOSED`; while the guest runs also with `JOB_ACTIVE` (another program's job),
   * `MONITOR_BUSY`, `MONITOR_LOST`, `MONITOR_TIMEOUT`, `QEMU_ERROR`.
   *
   * ```js
   * await domain.blockJobSetSpeed('vda', '10MiB/s')
   * ```
   */
  async blockJobSetSpeed(disk: string, limit: string | Limit): Promise<void> {
    const bandwidth = readNewLimit('blockJobSetSpeed', limit)
    const flags = vir.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES
    const request = { uuid: this.uuid, disk: checkString('disk', disk), bandwidth, flags }
    await called(() => this.#native.blockJobSetSpeed(request))
  }

  /**
   * Resumes the job of a running domain's disk that stopped on an error (`onError`); does nothing to a job that has not
   * stopped. Rejects with `NO_DOMAIN`, `NO_DISK`, `NO_JOB`, `JOB_ACTIVE` (another program's job), `READ_ONLY`,
   * `CLOSED`, `MONITOR_BUSY`, `MONITOR_LOST`, `MONITOR_TIMEOUT`.
   *
   * ```js
   * const info = await domain.blockJobInfo('vda')
   * if (info?.stoppedOn === 'NO_SPACE') await domain.blockJobResume('vda') // once there is room again
   * ```
   */
  async blockJobResume(disk: string): Promise<void> {
    const request = { uuid: this.uuid, disk: checkString('disk', disk), flags: 0 }
    await called(() => this.#native.blockJobResume(request))
  }

  /**
   * Ends the job of a disk at a consistent point, whoever started it. With `async` it returns before the job has ended.
   * What was copied is kept. Rejects with `NO_DOMAIN`, `NO_DISK`, `NO_JOB`, `JOB_ACTIVE` (it is ending already, or
   * belongs to another program), `READ_ONLY`, `CLOSED`; while the guest runs also with `MONITOR_BUSY`, `MONITOR_LOST`,
   * `MONITOR_TIMEOUT`.
   *
   * ```js
   * await domain.blockJobAbort('vda')
   * ```
   */
  async blockJobAbort(disk: string, options?: BlockJobAbortOptions): Promise<void> {
    const flags = readAsync('blockJobAbort', options) ? vir.VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC : 0
    const request = { uuid: this.uuid, disk: checkString('disk', disk), flags }
    await called(() => this.#native.blockJobAbort(request))
  }

  /**
   * Waits for the end of every blockpull job in the domain's QEMU, and reports how each ended. It finishes orphaned
   * jobs of earlier processes durably. It always flushes the guest's disks, since a job of an earlier version may have
   * ended on its own before. An orphaned job that stopped on an error (`onError`) fails with that error. For a stopped
   * job of this connection it waits until somebody resumes it. `connect` does the same in the background. Rejects with
   * `NO_DOMAIN`, `MONITOR_BUSY`, `MONITOR_LOST`, `MONITOR_TIMEOUT`, `GUEST_BUSY` (it is being migrated or saved: its
   * jobs are left as they are), `READ_ONLY`, `CLOSED`.
   *
   * ```js
   * for (const { target, outcome } of await domain.reap()) console.log(target, outcome.state)
   * ```
   */
  async reap(): Promise<ReapedJob[]> {
    const reaped = await called(() => this.#native.reapJobs({ uuid: this.uuid }))
    return reaped.map(({ target, path, outcome }) => ({
      target,
      path,
      outcome: toOutcome(outcome, sizeReader<number>(false), null),
    }))
  }

  /**
   * The disks that the domain's XML states. If it states none and the domain runs, the disks that its QEMU has.
   * Rejects with `NO_DOMAIN`, `MONITOR_BUSY`, `MONITOR_LOST`, `MONITOR_TIMEOUT`, `CLOSED`.
   *
   * ```js
   * for (const { target } of await domain.listDisks()) console.log(target, await domain.blockJobInfo(target))
   * ```
   */
  async listDisks(): Promise<readonly Disk[]> {
    const disks = await called(() => this.#native.listDisks({ uuid: this.uuid }))
    return disks.map(toDisk)
  }

  /** The domain's XML as it is now. Rejects with `NO_DOMAIN`. */
  async xml(): Promise<string> {
    return await called(() => this.#native.domainXml({ uuid: this.uuid, flags: 0 }))
  }

  async #start(pull: DiskPull, request: NativeBlockPullRequest): Promise<BlockJob> {
    const domain = { name: this.name, uuid: this.uuid }
    lastTicket += 1n
    const ticket = lastTicket
    return await startJob<number>({
      start: (onUpdate) => this.#native.blockPull({ ...request, ticket }, onUpdate),
      giveUp: () => this.#native.giveUp({ ticket }),
      signal: pull.signal,
      bigint: pull.bigint,
      onJobFailed: (error, job) => this.#onJobFailed({ domain, disk: request.disk, error, job }),
    })
  }
}

/** A pull to a base is libvirt's rebase; one without is its pull. Both count bandwidth in bytes by the same bit. */
function pullRequest(uuid: string, disk: string, pull: DiskPull): NativeBlockPullRequest {
  return {
    uuid,
    disk,
    call: pull.base === null ? 'virDomainBlockPull' : 'virDomainBlockRebase',
    base: pull.base,
    exactBase: true,
    bandwidth: pull.bandwidth,
    detached: pull.detached,
    onError: pull.onError,
    trailingData: pull.trailingData,
    siblings: pull.siblings,
    ...pull.formats,
    flags: pull.base === null ? vir.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES : vir.VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES,
  }
}
