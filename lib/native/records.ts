// SPDX-License-Identifier: Apache-2.0
//
// What native calls give: plain objects, as lib/native.ts says.

import type { NativeDiskDescription } from './requests.js'

/** What a native call rejects with. `code` is one of `errorCodes` in `lib/results/errors.ts`. */
export interface NativeFailure {
  readonly code: string
  readonly message: string
  /** libvirt's virErrorNumber and virErrorDomain for this failure. */
  readonly virCode: number
  readonly virDomain: number
  readonly virLevel: number
  /** Positive errno, or `null`. */
  readonly errno: number | null
  readonly syscall: string | null
  /** What QEMU refused, or did not answer (no class and no message then), or `null`. */
  readonly qemu: { readonly command: string; readonly class: string | null; readonly message: string | null } | null
  readonly path: string | null
  /** The bytes of a `path` that is not UTF-8, in base64; otherwise `null`. The same holds for every such pair. */
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

export interface NativeDomain {
  readonly name: string
  readonly uuid: string
  /** libvirt's id; -1 for a domain that does not run. */
  readonly id: number
  /** virDomainState: 1 running, 5 shut off; 0 where there is an error. */
  readonly state: number
  readonly disks: readonly NativeDiskDescription[]
  /** From `listDomains`: why nothing more is known about it, or `null`. */
  readonly error: NativeFailure | null
}

/** One of libvirt's events, and the registrations that receive it, the oldest first. */
export interface NativeEventNotice {
  readonly event: number
  /** Path or target. */
  readonly disk: string
  readonly registrations: readonly number[]
}

/** A change of one job, as `virConnectDomainEventBlockJob` reports it. */
export interface NativeBlockJobEvent {
  readonly domain: { readonly name: string; readonly uuid: string; readonly id: number }
  readonly target: string
  /** Host path of the active layer. */
  readonly path: string
  /** virDomainBlockJobType. */
  readonly type: number
  /** virConnectDomainEventBlockJobStatus: 0 completed, 1 failed, 2 cancelled. */
  readonly status: number
  /** What libvirt makes of it, in order. */
  readonly notices: readonly NativeEventNotice[]
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

/** The progress of a job, from memory. */
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
  /** If one of these is not UTF-8, the bytes of all, in base64; otherwise `null`. */
  readonly releasedBytes: readonly string[] | null
  /** Sentences about what else went wrong, for example a domain XML that could not be rewritten. */
  readonly warnings: readonly string[]
  /** Completed, and read back from the disk that the header states the new chain. */
  readonly verified: boolean
  /** Completed, and flushed in a way that reports failures. */
  readonly durable: boolean
  /** The bytes behind the image that were kept or discarded; `null` if there were none. */
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

/** The progress of a call that reads tables or data. */
export interface NativeWalkProgress {
  /** Each phase counts from 0, and no phase comes twice. */
  readonly phase: 'tables' | 'data'
  readonly bytesDone: bigint
  readonly bytesTotal: bigint
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

/** One thing that a check found. */
export interface NativeFinding {
  readonly severity: string
  readonly code: string
  readonly message: string
  readonly offset: bigint
}

export interface NativeCheckReport {
  readonly errors: bigint
  readonly leaks: bigint
  readonly notes: bigint
  readonly findings: readonly NativeFinding[]
  readonly totalClusters: bigint
  readonly allocatedClusters: bigint
  readonly compressedClusters: bigint
  readonly clusterSize: bigint
  readonly snapshots: number
  readonly bitmaps: number
  readonly imageEnd: bigint
  /** `null` if no repair was requested. */
  readonly repaired: { readonly errors: bigint; readonly leaks: bigint } | null
}

export interface NativeComparison {
  readonly firstDifference: bigint | null
  readonly aSize: bigint
  readonly bSize: bigint
}

export interface NativeSnapshot {
  readonly id: string
  readonly name: string
  readonly seconds: number
  readonly vmStateBytes: bigint
  readonly diskSize: bigint | null
}

export interface NativeBitmap {
  readonly name: string
  readonly granularity: bigint
  readonly inUse: boolean
  readonly recording: boolean
}

export interface NativeQcow2Info {
  readonly version: number
  readonly clusterSize: bigint
  readonly refcountBits: number
  readonly compression: string
  readonly features: readonly string[]
  readonly encryption: string | null
  readonly dataFile: string | null
  readonly snapshots: readonly NativeSnapshot[]
  readonly bitmaps: readonly NativeBitmap[]
}

export interface NativeImageInfo extends NativeImageFacts {
  readonly qcow2: NativeQcow2Info | null
}

/** What is said of every image file. */
export interface NativeImageFacts {
  readonly path: string
  readonly pathBytes: string | null
  readonly format: string
  readonly virtualSize: bigint
  /** Bytes on disk (st_blocks) and length of the file. */
  readonly allocatedBytes: bigint
  readonly fileSize: bigint
  /** As written in the header, or `null`. */
  readonly backingFile: string | null
  readonly backingFormat: string | null
  /** Who has the file open for writing, or `null`. */
  readonly inUseBy: string | null
}

/** One layer of a chain, the active one first. */
export interface NativeLayer extends NativeImageFacts {
  /** 0 where the format has no clusters. */
  readonly clusterSize: bigint
  /** Guest bytes that this layer holds and no layer above it does. */
  readonly visibleBytes: bigint
  /** Guest bytes allocated in this layer. */
  readonly dataBytes: bigint
}

/** An orphaned job in a QEMU, and how it ended. */
export interface NativeReapedJob {
  readonly target: string
  readonly path: string
  readonly outcome: NativeOutcome
}
