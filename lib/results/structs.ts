// SPDX-License-Identifier: Apache-2.0
//
// The plain values that the API gives: types only, no code.
//
// Every size is a number by default. A call with `{ bigint: true }` gives the same shape with bigints, as in `node:fs`;
// the type parameter `Size` stands for either. Absent values are `null`, never `undefined`, so that a value survives
// JSON. `results.ts` makes these from the addon's records.

import type { AbortError, BlockPullError } from './errors.js'

/**
 * How bytes are moved: 'io_uring', 'threads', 'block-stream' (by the guest's QEMU; bytes moved are then guest bytes
 * gone over), or 'none' if nothing had to be moved.
 */
export type Method = string

/** Code of an error that a job can stop on. */
export type StopCode = 'NO_SPACE' | 'IO'

/** One disk of a domain: its target (`vda`), the path of its active layer, and that layer's format. */
export interface Disk {
  readonly target: string
  readonly source: string
  readonly format: string
  /**
   * Formats that the domain's XML states for the layers below, by path; absent if it states none. Used only if the
   * header of an overlay states no format.
   */
  readonly backingFormats?: Readonly<Record<string, string>> | undefined
}

/** Where a job is. The latest value, not a history. */
export interface Progress<Size extends number | bigint = number> {
  /**
   * 'unknown': QEMU vanished with the job, QEMU did not answer the abort, or the connection that tracked the job was
   * closed.
   */
  readonly state: 'running' | 'aborting' | 'completed' | 'failed' | 'cancelled' | 'unknown'
  /** Guest bytes settled: copied, or found not to need it. A resumed pull starts high. */
  readonly cur: Size
  /** The virtual size of the disk. A completed job has `cur === end`. */
  readonly end: Size
  readonly bytesMoved: Size
  readonly bytesToMove: Size
  /** Average over the last half second. */
  readonly bytesPerSecond: Size
  /** Seconds left at that rate, or `null` while there is no rate to tell from. */
  readonly etaSeconds: number | null
  /** The limit in force in bytes a second, 0 for none. */
  readonly bandwidth: Size
  readonly method: Method
  /**
   * The error on which the job waits until it is aborted or resumed (`domain.blockJobResume`); `null` if it does not
   * wait. Only for a running domain's disk, and only if the pull was started with `onError`.
   */
  readonly stoppedOn: StopCode | null
  /**
   * 'moving'; 'paused' while the guest is migrated or saved; 'pending' once everything is moved and must be made
   * durable. Always 'moving' for a shut-off disk.
   */
  readonly phase: 'moving' | 'paused' | 'pending'
  /** Whole seconds for which the guest's QEMU has not answered; 0 while it does. */
  readonly silentSeconds: number
}

interface Ending<Size extends number | bigint> {
  readonly bytesMoved: Size
  readonly seconds: number
  readonly method: Method
  /**
   * Paths of the files that the image no longer needs and that no known image needs. They are named as in the chain:
   * relative if the image was named relative. Known images are the other disks of its QEMU, the disks of all domains of
   * the connection (running or shut off), the images that this process has open, and the images in the folders of
   * `siblings`. If two disks are pulled over one base, the later one releases it. If one of these chains cannot be
   * read, this is empty, and a warning names the chain. For a bare image, unknown images may still need a file.
   */
  readonly released: readonly string[]
  /** If one of `released` is not UTF-8, and so not exact: the bytes of each, in base64. Otherwise `null`. */
  readonly releasedBytes: readonly string[] | null
  /** Sentences about what else went wrong, for example a domain XML that could not be rewritten. */
  readonly warnings: readonly string[]
  /**
   * Whether the end was read back: nothing is missing in the image, and its header states the new chain. If a completed
   * job has `false`, `released` is empty, and a warning says why. Always `false` if the job did not complete.
   */
  readonly verified: boolean
  /**
   * Whether everything was flushed in a way that reports failures. If a completed job has `false`, a warning says why:
   * keep the backing files until the guest has shut off. Always `false` if the job did not complete.
   */
  readonly durable: boolean
  /** The bytes behind the image that were kept or discarded, as `trailingData` said; `null` if there were none. */
  readonly trailingData: TrailingBytes<Size> | null
}

/** Bytes behind the end of an image, in its file. */
export interface TrailingBytes<Size extends number | bigint = number> {
  /** Where they began. */
  readonly offset: Size
  readonly bytes: Size
}

/** What `job.done` resolves to. */
export interface Completion<Size extends number | bigint = number> extends Ending<Size> {
  readonly state: 'completed'
  readonly error: null
}

/**
 * The outcome of a job that did not complete; `job.done` rejects with `error`. 'unknown' is for running guests: the job
 * vanished with its QEMU (`JOB_VANISHED`), or it is still there, because its connection was closed (`CLOSED`) or QEMU
 * does not answer (`MONITOR_TIMEOUT`).
 */
export interface Interruption<Size extends number | bigint = number> extends Ending<Size> {
  readonly state: 'failed' | 'cancelled' | 'unknown'
  readonly error: BlockPullError | AbortError
}

/** How a job ended. */
export type Outcome<Size extends number | bigint = number> = Completion<Size> | Interruption<Size>

/** An orphaned job in a guest's QEMU, and how it ended. */
export interface ReapedJob {
  /** The disk's target, or QEMU's name for it if the domain's XML has none. */
  readonly target: string
  /** Path of the active layer. */
  readonly path: string
  readonly outcome: Outcome
}

/** libvirt's view of the job of a disk, in bytes and bytes a second. */
export interface BlockJobInfo<Size extends number | bigint = number> {
  /** One of `BlockJobType`. */
  readonly type: number
  /** The limit in bytes a second, 0 for none. */
  readonly bandwidth: Size
  /** As libvirt counts: never equal to `end`; 0 of 1 for a disk of size 0. */
  readonly cur: Size
  readonly end: Size
  /**
   * 'pending': nothing is left to copy, and the job waits to be finished by the process that tracks it, or by
   * `domain.reap()`; a foreign job by its own program. 'stopped': it waits on the error in `stoppedOn` to be resumed.
   * 'paused': it is suspended, for example while its guest is saved. 'aborting': it is ending.
   */
  readonly state: 'running' | 'paused' | 'stopped' | 'pending' | 'aborting'
  /** As in `Progress`. */
  readonly stoppedOn: StopCode | null
  /** Whether it belongs to another program. It is then only shown: `reap`, speed and abort leave it alone. */
  readonly foreign: boolean
}

/** libvirt's struct of the same name. `bandwidth` is in MiB/s unless the flag for bytes was given. */
export interface VirDomainBlockJobInfo<Size extends number | bigint = number> {
  readonly type: number
  readonly bandwidth: Size
  readonly cur: Size
  readonly end: Size
}

/** What a pull would do, as things are now. */
export interface Plan<Size extends number | bigint = number> {
  readonly bytesToMove: Size
  /** Bytes that the active image would grow by. */
  readonly bytesToAllocate: Size
  /**
   * Free space on the filesystem of the active image. `null` under a running guest whose files cannot be read from
   * here. `bytesToMove` and `bytesToAllocate` are then estimates: the space that the dropped layers take on their
   * disks, at most the virtual size.
   */
  readonly bytesFree: Size | null
  readonly virtualSize: Size
  readonly method: Method
  /** Duration in seconds at the given limit, or `null` without a limit. */
  readonly seconds: number | null
  /**
   * What would refuse the pull, in the pull's own order, codes and sentences; empty if it would run. Failures that a
   * pull meets only on its way come last. With `readData` these are `IMAGE_CORRUPT` for a damaged compressed cluster
   * and `IO` for an unreadable one, at most 16 clusters (`path`, the `offset` in it, and the guest's offset in `hint`);
   * or `LOCKED` if a layer was changed meanwhile. Too little space comes after them.
   */
  readonly refusals: readonly BlockPullError[]
  /**
   * Paths of the files that the image would no longer need, named as in the chain: relative if the image was named
   * relative. Files are left out if another disk of its QEMU has them, if the headers of the connection's domains lead
   * to them, or if images in the folders of `siblings` need them. If one of those cannot be read, all are left out. The
   * QEMUs of other domains, and this process's other jobs, are only asked when the pull has ended.
   */
  readonly released: readonly string[]
  /** As in an outcome. */
  readonly releasedBytes: readonly string[] | null
  /** The backing file after the pull, or `null` when the image would stand on its own. */
  readonly base: string | null
  /** What would be kept or discarded behind the image, as `trailingData` says; `null`: nothing. */
  readonly trailingData: TrailingBytes<Size> | null
}

/** The progress of a call that reads tables or data. */
export interface WalkProgress<Size extends number | bigint = number> {
  /**
   * 'tables': the call looks up which layer has which bytes. The total is the virtual size; for `inspectChain` that of
   * the longest layer, for `checkImage` the L2 tables, each as often as L1 entries lead to it. 'data': a digest, a
   * comparison or a plan with `readData` reads bytes. The total is what is read, or `bytesToMove`. Each reported phase
   * begins with 0. A phase that ends between two polls is not reported.
   */
  readonly phase: 'tables' | 'data'
  readonly bytesDone: Size
  /** As a number rounded above `Number.MAX_SAFE_INTEGER`. */
  readonly bytesTotal: Size
}

/** One layer of a chain. */
export interface Layer<Size extends number | bigint = number> {
  readonly path: string
  /**
   * The bytes of a path that is not UTF-8, in base64: `path` has U+FFFD for each wrong byte, and
   * `Buffer.from(pathBytes, 'base64')` names the file. `null` for every other path.
   */
  readonly pathBytes: string | null
  readonly format: string
  readonly virtualSize: Size
  /** Bytes that the file takes on its disk. */
  readonly allocatedBytes: Size
  /** Length of the file. */
  readonly fileSize: Size
  /** 0 if the format has no clusters. */
  readonly clusterSize: Size
  /** Guest bytes that this layer holds and no layer above it does. */
  readonly visibleBytes: Size
  /** Guest bytes allocated in this layer. */
  readonly dataBytes: Size
  /** As written in the header, or `null`. */
  readonly backingFile: string | null
  readonly backingFormat: string | null
  /** Who has the layer open for writing, as 'pid 4711 (qemu-system-x86)', or `null`. */
  readonly inUseBy: string | null
}

/** One thing that a check found. */
export interface Finding<Size extends number | bigint = number> {
  /**
   * 'error': the image has lost data, or can lose some. 'leak': a host cluster whose refcount is above the number of
   * its references. 'note': nothing is wrong yet; `qemu-img check` does not look at it.
   */
  readonly severity: 'error' | 'leak' | 'note'
  readonly code: FindingCode
  /** A sentence for people. */
  readonly message: string
  /** Where in the file: of the cluster, or of the entry that is wrong. */
  readonly offset: Size
}

/** What a finding is about. */
export type FindingCode =
  | 'reference-outside'
  | 'references-too-many'
  | 'l1-entry'
  | 'l2-entry'
  | 'compressed-entry'
  | 'subclusters'
  | 'snapshot'
  | 'bitmap'
  | 'refcount-block'
  | 'refcount-low'
  | 'copied-flag'
  | 'leak'
  | 'shared-table'
  | 'trailing-bytes'

/**
 * What `checkImage` found, after the repair if there was one. `errors` and `leaks` are counted as `qemu-img check`
 * counts them.
 */
export interface CheckReport<Size extends number | bigint = number> {
  readonly errors: Size
  readonly leaks: Size
  readonly notes: Size
  /** The first 100 of each severity. */
  readonly findings: readonly Finding<Size>[]
  /** Clusters of the disk: all, those with space in the file, and the compressed ones of these. */
  readonly totalClusters: Size
  readonly allocatedClusters: Size
  readonly compressedClusters: Size
  readonly clusterSize: Size
  /** Internal snapshots, and valid persistent bitmaps, as the header counts them. */
  readonly snapshots: number
  readonly bitmaps: number
  /** Where the last host cluster that has a reference or a refcount ends: `image-end-offset` of `qemu-img check`. */
  readonly imageEnd: Size
  /** What a repair has mended; everything else is as found afterwards. `null` if no repair was requested. */
  readonly repaired: { readonly errors: Size; readonly leaks: Size } | null
}

/** What `compareImages` found. */
export interface Comparison<Size extends number | bigint = number> {
  /** The first guest byte that differs, or `null` if two guests read the same. */
  readonly firstDifference: Size | null
  /** The virtual sizes. Disks of different sizes are equal if the rest of the longer one is zeros. */
  readonly sizes: readonly [Size, Size]
}

/** An internal snapshot of a qcow2 image. */
export interface SnapshotInfo<Size extends number | bigint = number> {
  readonly id: string
  readonly name: string
  readonly takenAt: Date
  /** 0 if it was taken of the disk alone. */
  readonly vmStateBytes: Size
  /** The disk's size then; `null` if the snapshot does not state it. */
  readonly diskSize: Size | null
}

/** A persistent bitmap of a qcow2 image. */
export interface BitmapInfo<Size extends number | bigint = number> {
  readonly name: string
  /** Guest bytes for each bit. */
  readonly granularity: Size
  /** It was not saved when the image was last closed, so its bits are not valid. */
  readonly inUse: boolean
  /** It records writes. */
  readonly recording: boolean
}

/** What only a qcow2 image has. */
export interface Qcow2Info<Size extends number | bigint = number> {
  readonly version: number
  readonly clusterSize: Size
  readonly refcountBits: number
  readonly compression: string
  /** The feature bits that are set: 'extended-l2', 'lazy-refcounts', 'compatible bit 5'. */
  readonly features: readonly string[]
  /** 'aes', 'luks' or `null`. */
  readonly encryption: string | null
  /** As written in the header, or `null`. */
  readonly dataFile: string | null
  readonly snapshots: readonly SnapshotInfo<Size>[]
  /** Those that the header says are valid. */
  readonly bitmaps: readonly BitmapInfo<Size>[]
}

/** What `imageInfo` says of one image file. */
export interface ImageInfo<Size extends number | bigint = number> {
  readonly path: string
  /** As in `Layer`. */
  readonly pathBytes: string | null
  readonly format: string
  readonly virtualSize: Size
  /** Bytes that the file takes on its disk. */
  readonly allocatedBytes: Size
  /** Length of the file. */
  readonly fileSize: Size
  /** As written in the header, or `null`. */
  readonly backingFile: string | null
  readonly backingFormat: string | null
  /** Who has the image open for writing, as 'pid 4711 (qemu-system-x86)', or `null`. */
  readonly inUseBy: string | null
  /** `null` for a raw image. */
  readonly qcow2: Qcow2Info<Size> | null
}

/** SHA-256 of what a guest reads, in hex, and the number of bytes hashed. */
export interface Digest<Size extends number | bigint = number> {
  readonly sha256: string
  readonly bytes: Size
}

/** Payload of a connection's `blockJob` event: one for every change of a job. */
export interface BlockJobEvent {
  readonly domain: { readonly name: string; readonly uuid: string }
  /** Target of the disk, `vda` for example. */
  readonly target: string
  /** Path of the active layer. */
  readonly path: string
  /** One of `BlockJobType`. */
  readonly type: number
  /** One of `BlockJobStatus`. */
  readonly status: number
  /** Why it failed, or `null`. */
  readonly error: BlockPullError | null
}
