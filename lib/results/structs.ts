// SPDX-License-Identifier: Apache-2.0
//
// The plain values that the API gives: types only, no code.
//
// Every size is a number by default; a call made with `{ bigint: true }` gives the same shape with bigints, as
// in `node:fs`, which is what the type parameter `Size` stands for. Absent values are `null`, never `undefined`,
// so that a value survives JSON. `results.ts` makes these from what the addon gives.

import type { AbortError, BlockPullError } from './errors.js'

/**
 * How bytes are moved: 'io_uring', 'threads', 'block-stream' (by the guest's QEMU; bytes moved are then guest bytes
 * gone over), or 'none' where nothing had to be moved.
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
   * What the domain's XML says of layers below it, formats by path; absent where it says nothing. Only counts where the
   * header of an overlay states no format.
   */
  readonly backingFormats?: Readonly<Record<string, string>> | undefined
}

/** Where a job is. The latest value, not a history. */
export interface Progress<Size extends number | bigint = number> {
  /**
   * 'unknown': QEMU vanished with the job, has not answered when it was aborted, or the connection that followed it was
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
   * The error on which the job waits, until it is aborted or resumed (`domain.blockJobResume`); `null` while it goes
   * on. Only of a running domain's disk, and only if the pull was started with `onError`.
   */
  readonly stoppedOn: StopCode | null
  /**
   * 'moving'; 'paused' while the guest is migrated or saved; 'pending' once everything is moved, and its end is to
   * be made durable. Of a disk that is shut off always 'moving'.
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
   * Paths of the files that the image no longer needs and that nobody known needs, as the chain names them: relative
   * where the image was named relative. Known are the other disks of its QEMU, those of all domains of the connection,
   * running or shut off, the images that this process has open, and what lies in the folders that `siblings` names. Of
   * two disks that are pulled over one base, the later one releases it. Where one of their chains cannot be read, this
   * is empty, and a warning names it; of a bare image, others may need a file all the same.
   */
  readonly released: readonly string[]
  /** Where one of `released` is no UTF-8, and so is not exact there: the bytes of each, in base64. Else `null`. */
  readonly releasedBytes: readonly string[] | null
  /** Sentences about what went wrong beside the job, a domain XML that could not be rewritten for example. */
  readonly warnings: readonly string[]
  /**
   * Whether the end was read back: nothing is missing in the image, and its header states the new chain. Where a
   * completed job has `false`, `released` is empty, and a warning says why. Otherwise `false`.
   */
  readonly verified: boolean
  /**
   * Whether all of it was flushed, in a way that would have told of a failure. Where a completed job has `false`, a
   * warning says why: keep the backing files until the guest has shut off. Otherwise `false`.
   */
  readonly durable: boolean
  /** What another program had put behind the image and was kept or discarded, as `trailingData` said; `null`: none. */
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
 * How a job ended that did not complete; `job.done` rejects with `error`. 'unknown' is for running guests: a job
 * that vanished with its QEMU (`JOB_VANISHED`), or that is left there, as its connection was closed (`CLOSED`) or QEMU
 * does not answer (`MONITOR_TIMEOUT`).
 */
export interface Interruption<Size extends number | bigint = number> extends Ending<Size> {
  readonly state: 'failed' | 'cancelled' | 'unknown'
  readonly error: BlockPullError | AbortError
}

/** How a job ended. */
export type Outcome<Size extends number | bigint = number> = Completion<Size> | Interruption<Size>

/** A job that an earlier process had left in a guest's QEMU, and how it ended. */
export interface ReapedJob {
  /** The disk's target, or QEMU's name for it where the domain's XML has none. */
  readonly target: string
  /** Path of the active layer. */
  readonly path: string
  readonly outcome: Outcome
}

/** What libvirt tells about the job of a disk, in bytes and bytes a second. */
export interface BlockJobInfo<Size extends number | bigint = number> {
  /** One of `BlockJobType`. */
  readonly type: number
  /** The limit in bytes a second, 0 for none. */
  readonly bandwidth: Size
  /** As libvirt counts: never equal to `end`; 0 of 1 for a disk of size 0. */
  readonly cur: Size
  readonly end: Size
  /**
   * 'pending': nothing is left to copy, and the job waits to be finished: by the process that follows it, or by
   * `domain.reap()`; a job of another program by that program. 'stopped': it waits on an error, `stoppedOn`, to be
   * resumed. 'paused': it is held still, while its guest is saved for example. 'aborting': it is being ended.
   */
  readonly state: 'running' | 'paused' | 'stopped' | 'pending' | 'aborting'
  /** As in `Progress`. */
  readonly stoppedOn: StopCode | null
  /** Whether it belongs to another program: it is told of then, and not served by `reap`, speed or abort. */
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
   * here; `bytesToMove` and `bytesToAllocate` are then estimates, the space that the layers which drop out take on
   * their disks, at most the virtual size.
   */
  readonly bytesFree: Size | null
  readonly virtualSize: Size
  readonly method: Method
  /** Seconds that it takes at the limit given, or `null` without a limit. */
  readonly seconds: number | null
  /**
   * What would refuse the pull, in the order in which it would, with the codes and sentences that it would reject
   * with; empty when it would run. What a pull meets only on its way comes last: with `readData` what cannot be read,
   * `IMAGE_CORRUPT` for a damaged compressed cluster and `IO` for an unreadable one (`path`, `offset` in it, and in
   * `hint` the guest's offset), at most 16 clusters, or `LOCKED` where a layer was changed meanwhile; then too little
   * space.
   */
  readonly refusals: readonly BlockPullError[]
  /**
   * Paths of the files that the image would no longer need, as the chain names them: relative where the image was
   * named relative. Left out is what another disk of its QEMU has, what the headers of the connection's domains lead
   * to, and what the images in the folders of `siblings` need; all of it where one of those cannot be read. The QEMUs
   * of other domains, and this process's other jobs, are only asked when the pull has ended.
   */
  readonly released: readonly string[]
  /** As in an outcome. */
  readonly releasedBytes: readonly string[] | null
  /** The backing file after the pull, or `null` when the image would stand on its own. */
  readonly base: string | null
  /** What would be kept or discarded behind the image, as `trailingData` says; `null`: nothing. */
  readonly trailingData: TrailingBytes<Size> | null
}

/** How far a call is that goes through tables or data. */
export interface WalkProgress<Size extends number | bigint = number> {
  /**
   * 'tables': who has which bytes is looked up, for the virtual size, with `inspectChain` that of the longest layer.
   * 'data': bytes are read, by a digest or a plan with `readData`; the total is what is hashed, or `bytesToMove`. Each
   * phase that is told of begins with 0; one that is over between two looks is not told.
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
   * The bytes of a path that is no UTF-8, in base64: `path` has U+FFFD for what is none, and
   * `Buffer.from(pathBytes, 'base64')` names the file. `null` for every other path.
   */
  readonly pathBytes: string | null
  readonly format: string
  readonly virtualSize: Size
  /** Bytes that the file takes on its disk. */
  readonly allocatedBytes: Size
  /** Length of the file. */
  readonly fileSize: Size
  /** 0 where the format has no clusters. */
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

/** SHA-256 of what a guest would read, in hex, and over how many bytes. */
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
