// SPDX-License-Identifier: Apache-2.0
//
// The contract between TypeScript and the addon, and the only file that loads it.
//
// Every native call takes one plain request object and gives one plain result. 64-bit numbers cross as BigInt
// in both directions; enumerations cross as libvirt's numbers; `null` means absent. A call that fails rejects
// with a `NativeFailure`, a plain record: only `lib/results/errors.ts` makes a `BlockPullError` of it.
// Nothing outside `lib/` may import this file, and nothing here checks input: `lib/options/options.ts` has done that.

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A file's name: a string, or its bytes. */
export type NativePath = string | Uint8Array

/** What a native call rejects with. `code` is one of `errorCodes` in `lib/results/errors.ts`. */
export interface NativeFailure {
  readonly code: string
  readonly message: string
  /** libvirt's virErrorNumber and virErrorDomain for this failure. */
  readonly virCode: number
  readonly virDomain: number
  /** Positive errno, or `null`. */
  readonly errno: number | null
  readonly syscall: string | null
  readonly path: string | null
  /** Of a name that is no UTF-8, in base64; else `null`. So wherever a name has such a twin. */
  readonly pathBytes: string | null
  readonly offset: bigint | null
  /** Who holds the lock, as "pid 4711 (qemu-system-x86)", or `null`. */
  readonly holder: string | null
  /** On a full disk: about how many bytes the pull still has to write, free space not subtracted; or `null`. */
  readonly bytesNeeded: bigint | null
  /** What else may help, in a sentence of its own, where the message is libvirt's to the letter; or `null`. */
  readonly hint: string | null
  readonly cause: NativeFailure | null
}

/** A format that somebody states for a file. */
export interface NativeFileFormat {
  readonly path: NativePath
  readonly format: string
}

/** How one disk is described to `openConnection` when there is no folder of XML files. */
export interface NativeDiskDescription {
  readonly target: string
  readonly source: string
  readonly format: string
  /** Of layers below it. */
  readonly backingFormats: readonly NativeFileFormat[]
}

/** The caller's word for layers whose overlay states no format. */
export interface NativeBackingFormats {
  /** Of the one layer that nobody else speaks of, or `null`. */
  readonly backingFormat: string | null
  readonly backingFormats: readonly NativeFileFormat[] | null
}

export interface NativeDomainDescription {
  readonly name: string
  readonly uuid: string | null
  readonly qmp: string | null
  readonly disks: readonly NativeDiskDescription[]
}

export interface NativeConnectRequest {
  /** `qemu:///embed?root=DIR`, or `null` when `domains` is given. */
  readonly uri: string | null
  readonly domains: readonly NativeDomainDescription[] | null
  readonly readOnly: boolean
  readonly backingPaths: readonly NativePath[] | null
  /** How long a monitor may take, in milliseconds: for its greeting, for an answer, for a change of its images. */
  readonly connectTimeout: bigint | null
  readonly queryTimeout: bigint | null
  readonly changeTimeout: bigint | null
}

export interface NativeDomain {
  readonly name: string
  readonly uuid: string
  /** virDomainState: 1 running, 5 shut off; 0 where there is an error. */
  readonly state: number
  readonly disks: readonly NativeDiskDescription[]
  /** Of `listDomains`: why nothing more is known of it, or `null`. */
  readonly error: NativeFailure | null
}

/** A change of one job, as `virConnectDomainEventBlockJob` reports it. */
export interface NativeBlockJobEvent {
  readonly domain: { readonly name: string; readonly uuid: string }
  readonly target: string
  /** Host path of the active layer. */
  readonly path: string
  /** virDomainBlockJobType. */
  readonly type: number
  /** virConnectDomainEventBlockJobStatus: 0 completed, 1 failed, 2 cancelled. */
  readonly status: number
  readonly error: NativeFailure | null
}

/** libvirt's `virDomainBlockJobInfo`, quirks included. */
export interface NativeBlockJobInfo {
  readonly type: number
  readonly bandwidth: bigint
  readonly cur: bigint
  readonly end: bigint
  /** Not libvirt's, nor what follows: 'running' | 'paused' | 'stopped' | 'pending' | 'aborting' */
  readonly state: string
  /** Code of the error on which the job waits to be resumed, or `null`. */
  readonly stoppedOn: string | null
  /** The job belongs to another program. */
  readonly foreign: boolean
}

/** Where a job is, from memory. */
export interface NativeProgress {
  /** 'running' | 'aborting' | 'completed' | 'failed' | 'cancelled' | 'unknown' */
  readonly state: string
  /** Guest bytes settled (copied or found not to need it), and the virtual size. */
  readonly cur: bigint
  readonly end: bigint
  readonly bytesMoved: bigint
  readonly bytesToMove: bigint
  readonly bytesPerSecond: bigint
  /** The limit in force in bytes a second, 0 for none. */
  readonly bandwidth: bigint
  /** 'io_uring' | 'threads' | 'block-stream' (QEMU does it) | 'none' (nothing had to be moved). */
  readonly method: string
  /** Code of the error on which the job waits to be resumed, 'NO_SPACE' or 'IO', or `null`. */
  readonly stoppedOn: string | null
  /** 'moving' | 'paused' (its guest is migrated or saved) | 'pending' (everything is moved; its end is to come) */
  readonly phase: string
  /** For how long QEMU has not answered; 0: it answers. */
  readonly silentNs: bigint
}

interface NativeEnding {
  readonly bytesMoved: bigint
  readonly seconds: number
  readonly method: string
  /**
   * Paths of the layers that the image no longer needs and nobody known does, as the chain names them: relative where
   * it was. None unless `verified`.
   */
  readonly released: readonly string[]
  /** Where one of these is no UTF-8 the bytes of all, in base64; else `null`. */
  readonly releasedBytes: readonly string[] | null
  /** Sentences about what went wrong beside the job, a domain XML that could not be rewritten for example. */
  readonly warnings: readonly string[]
  /** Completed, and read back from the disk that the header states the new chain. */
  readonly verified: boolean
  /** Completed, and flushed by a way that tells of a failure. */
  readonly durable: boolean
  /** What lay behind the image and was kept or discarded, `null`: nothing. */
  readonly trailingData: NativeTrailingData | null
}

/** Bytes behind an image, and where they began. */
export interface NativeTrailingData {
  readonly offset: bigint
  readonly bytes: bigint
}

/** How a job ended; only one that completed has no error. */
export type NativeOutcome =
  | (NativeEnding & { readonly state: 'completed'; readonly error: null })
  | (NativeEnding & { readonly state: 'failed' | 'cancelled' | 'unknown'; readonly error: NativeFailure })

/** Sent by a job while it lives: the latest progress at a bounded rate, then once the outcome, then nothing. */
export type NativeJobUpdate =
  | { readonly progress: NativeProgress; readonly outcome: null }
  | { readonly progress: NativeProgress; readonly outcome: NativeOutcome }

/** A running job. Every call answers at once. */
export interface NativeJob {
  progress(): NativeProgress
  /** Asks for the end at a consistent point; the outcome comes as an update. */
  abort(): void
  setBandwidth(request: { readonly bytesPerSecond: bigint }): void
  /** Whether a running job keeps the process alive (it does from birth). */
  ref(): void
  unref(): void
}

/** The image-level options that `pullImage`, `planImage`, `inspectChain` and `digestImage` share. */
export interface NativeImageRequest extends NativeBackingFormats {
  readonly path: NativePath
  /** Format of the image named, or `null` to tell it by its magic (never raw). */
  readonly format: string | null
  /** Folders that backing files must lie in, or `null` for any local file. */
  readonly backingPaths: readonly NativePath[] | null
}

export interface NativePullRequest extends NativeImageRequest {
  /** Path of the layer that stays as backing file, or `null` to pull everything. */
  readonly base: NativePath | null
  /** Bytes a second, 0 for no limit. */
  readonly bytesPerSecond: bigint
  /** Folders of images that may need what would be released, or `null`. */
  readonly siblings: readonly NativePath[] | null
  /** For what another program has put behind the image. */
  readonly trailingData: 'refuse' | 'keep' | 'discard'
}

export interface NativePlanRequest extends NativePullRequest {
  /** Whether what would be moved is read. */
  readonly readData: boolean
}

/** How far a call is that goes through tables or data. */
export interface NativeWalkProgress {
  /** Each phase counts for itself, from 0; no phase comes back. */
  readonly phase: 'tables' | 'data'
  readonly bytesDone: bigint
  readonly bytesTotal: bigint
}

/** One call that goes through tables or data, made before it and passed to it. Both methods answer at once. */
export interface NativeWalk {
  /** Makes the call reject with 'CANCELLED' within milliseconds, unless it waits for a disk or for a QEMU. */
  giveUp(): void
  /** `null` before there is something to count. */
  progress(): NativeWalkProgress | null
}

export interface NativePlan {
  readonly bytesToMove: bigint
  readonly bytesToAllocate: bigint
  /** Free space on the filesystem of the active image; `null` when a guest's files cannot be read from here. */
  readonly bytesFree: bigint | null
  readonly virtualSize: bigint
  readonly method: string
  /** Seconds at the limit given, `null` without one. */
  readonly seconds: number | null
  /** What would refuse the pull; empty when it would run. */
  readonly refusals: readonly NativeFailure[]
  readonly released: readonly string[]
  readonly releasedBytes: readonly string[] | null
  /** The backing file after the pull, or `null`. */
  readonly base: string | null
  /** What would be kept or discarded behind the image, `null`: nothing. */
  readonly trailingData: NativeTrailingData | null
}

/** One layer of a chain, the active one first. */
export interface NativeLayer {
  readonly path: string
  readonly pathBytes: string | null
  readonly format: string
  readonly virtualSize: bigint
  /** Bytes on disk (st_blocks) and length of the file. */
  readonly allocatedBytes: bigint
  readonly fileSize: bigint
  /** 0 where the format has no clusters. */
  readonly clusterSize: bigint
  /** Guest bytes that this layer holds and no layer above it does. */
  readonly visibleBytes: bigint
  /** Guest bytes allocated in this layer. */
  readonly dataBytes: bigint
  /** As written in the header, or `null`. */
  readonly backingFile: string | null
  readonly backingFormat: string | null
  /** Who has the layer open for writing, or `null`. */
  readonly inUseBy: string | null
}

export interface NativeCreateRequest {
  readonly path: NativePath
  /** Bytes, or `null` to take the backing file's. */
  readonly size: bigint | null
  readonly backingFile: NativePath | null
  readonly backingFormat: string | null
  readonly clusterSize: bigint
  /** 2 (compat 0.10) or 3. */
  readonly version: number
}

export interface NativeDomainRequest {
  readonly uuid: string
}

export interface NativeDiskRequest extends NativeDomainRequest {
  /** Target (`vda`) or absolute path of the active layer. */
  readonly disk: string
}

/** libvirt's own arguments: MiB/s unless the flag for bytes is among `flags`. */
export interface NativeBlockPullRequest extends NativeDiskRequest, NativeBackingFormats {
  /** The libvirt call whose checks apply. */
  readonly call: 'virDomainBlockPull' | 'virDomainBlockRebase'
  readonly base: NativePath | null
  /** A base that fits two layers is refused, rather than looked up as libvirt does. */
  readonly exactBase: boolean
  readonly bandwidth: bigint
  readonly flags: number
  /** Of a running domain only: nobody need wait for the job; the next connection, or a reap, finishes it. */
  readonly detached: boolean
  /** What a failed read or write does: the job fails, or, of a running domain, waits to be resumed. */
  readonly onError: 'report' | 'stop' | 'enospc'
  /** For what another program has put behind the image of a domain that is shut off. */
  readonly trailingData: 'refuse' | 'keep' | 'discard'
  /** Folders of images that may need what would be released, or `null`. */
  readonly siblings: readonly NativePath[] | null
}

export interface NativeDiskPlanRequest extends NativeBlockPullRequest {
  /** Whether what would be moved is read; refused where the domain runs. */
  readonly readData: boolean
}

/** A pull that begins. */
export interface NativeBlockPullStart extends NativeBlockPullRequest {
  /** By which `giveUp` finds it; the caller's own. */
  readonly ticket: bigint
}

/** A job that an earlier process had left in a QEMU, and how it ended. */
export interface NativeReapedJob {
  readonly target: string
  readonly path: string
  readonly outcome: NativeOutcome
}

export interface NativeConnection {
  readonly uri: string
  listDomains(): Promise<readonly NativeDomain[]>
  lookupDomain(request: { readonly name: string | null; readonly uuid: string | null }): Promise<NativeDomain>
  defineXml(request: { readonly xml: string }): Promise<NativeDomain>
  domainXml(request: NativeDomainRequest): Promise<string>
  /** Those of the XML or, where that states none and the domain runs, those of its QEMU. */
  listDisks(request: NativeDomainRequest): Promise<readonly NativeDiskDescription[]>
  blockPull(request: NativeBlockPullStart, onUpdate: (update: NativeJobUpdate) => void): Promise<NativeJob>
  /**
   * Waits no longer for the QEMU that a `blockPull` is asked of, which then rejects with 'MONITOR_TIMEOUT'; its
   * `syscall` is 'block-stream' where QEMU may begin the job yet. Does nothing to one that QEMU has answered.
   */
  giveUp(request: { readonly ticket: bigint }): void
  newWalk(): NativeWalk
  plan(request: NativeDiskPlanRequest, walk: NativeWalk): Promise<NativePlan>
  blockJobInfo(request: NativeDiskRequest & { readonly flags: number }): Promise<NativeBlockJobInfo | null>
  blockJobSetSpeed(request: NativeDiskRequest & { readonly bandwidth: bigint; readonly flags: number }): Promise<void>
  /** Lets a job that stopped on an error go on. */
  blockJobResume(request: NativeDiskRequest & { readonly flags: number }): Promise<void>
  /** Without the ASYNC flag resolves when the job has ended. */
  blockJobAbort(request: NativeDiskRequest & { readonly flags: number }): Promise<void>
  /** Brings what earlier processes left in the domain's QEMU to its end; resolves once all of it has ended. */
  reapJobs(request: NativeDomainRequest): Promise<readonly NativeReapedJob[]>
  /**
   * Ends its own engine's jobs at a consistent point and waits for them, lets go of those that QEMU does, refuses
   * everything after. Idempotent.
   */
  close(): Promise<void>
}

export interface NativeBinding {
  readonly version: string
  openConnection(
    request: NativeConnectRequest,
    onEvent: (event: NativeBlockJobEvent) => void,
  ): Promise<NativeConnection>
  /** Resolves once the job runs; everything that can be refused has been refused by then. */
  pullImage(request: NativePullRequest, onUpdate: (update: NativeJobUpdate) => void): Promise<NativeJob>
  newWalk(): NativeWalk
  planImage(request: NativePlanRequest, walk: NativeWalk): Promise<NativePlan>
  inspectChain(request: NativeImageRequest, walk: NativeWalk): Promise<readonly NativeLayer[]>
  createImage(request: NativeCreateRequest): Promise<void>
  digestImage(
    request: NativeImageRequest,
    walk: NativeWalk,
  ): Promise<{ readonly sha256: string; readonly bytes: bigint }>
}

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..')
let loaded: NativeBinding | undefined

/** Loads `build/Release` (a source build) or `prebuilds/`, whichever is there, in that order, at the first call. */
export function loadBinding(): NativeBinding {
  const load = createRequire(import.meta.url)('node-gyp-build') as (root: string) => NativeBinding
  try {
    loaded ??= load(packageRoot)
    return loaded
  } catch (cause) {
    throw new Error(
      `blockpull has no native addon for ${process.platform}-${process.arch} with Node ${process.versions.node} ` +
        `in '${packageRoot}' (${reasonOf(cause)}): build it there with 'npm run setup', or use Linux x64`,
      { cause },
    )
  }
}

/** The first line of what the loader said, which names the missing library or symbol version. */
function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n')[0] ?? ''
}
