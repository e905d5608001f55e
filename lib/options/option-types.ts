// SPDX-License-Identifier: Apache-2.0
//
// The option objects of every call: types only.
//
// An option may be explicitly `undefined`, which is the same as absent: under `exactOptionalPropertyTypes` nobody
// should have to build objects key by key. Units are in names or in strings, never in a convention. `options.ts` and
// `connect-options.ts` read these.

import type { Disk, WalkProgress } from '../results/structs.js'

/** A file's name: a string, the bytes of a name that is not UTF-8 (a Buffer), or a `file:` URL. */
export type PathLike = string | Uint8Array | URL

/** A limit: with its unit in a string, or as a number of bytes a second. 0 is no limit. */
export interface Limit {
  /** For example '50MiB/s', '500K' (binary units; KB, MB, ... are decimal). */
  readonly bandwidth?: string | undefined
  readonly bytesPerSecond?: number | bigint | undefined
}

/** Whether sizes come as numbers (the default) or as bigints. */
export interface SizeOptions {
  readonly bigint?: boolean | undefined
}

/** Formats of layers whose overlay states none; an overlay's own statement counts. Default: such a chain is refused. */
export interface BackingFormatOptions {
  /**
   * Formats by file: `{ '/srv/base.img': 'raw' }`, or a Map for a file whose name is not a string. Any path of the file
   * will do. For a domain's disk: only for files whose format its XML (`<backingStore>`) does not state.
   */
  readonly backingFormats?: Readonly<Record<string, string>> | ReadonlyMap<PathLike, string> | undefined
  /**
   * Format of the one such layer; refused if there are several. 'raw' is refused for a file that begins like an image
   * of another format; `backingFormats` can state it.
   */
  readonly backingFormat?: string | undefined
}

/** Where to look for images that need a file which a pull would release. */
export interface SiblingOptions {
  /**
   * Folders whose qcow2 images are inspected, each with its chain: a file that one of them needs is not `released`.
   * Subfolders are not searched, and each folder may have at most 10000 files. Default: none.
   */
  readonly siblings?: readonly PathLike[] | undefined
}

/** What happens to bytes that another program has put behind the image, into its file. */
export interface TrailingOptions {
  /**
   * 'keep': they are at the end of the file again afterwards, even if the pull is killed. 'discard': they are
   * overwritten; only for a single image. Default: such an image is refused. A running domain takes neither.
   */
  readonly trailingData?: 'keep' | 'discard' | undefined
}

/** Options of calls that read tables or data, which takes long on large disks. */
export interface WalkOptions<Size extends number | bigint = number> {
  /** Aborting it ends the call, which then rejects with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
  /** Called with the progress, at most about ten times a second, and not after the end of the call. */
  readonly onProgress?: ((progress: WalkProgress<Size>) => void) | undefined
}

/** Whether a plan reads. */
export interface ReadDataOptions {
  /**
   * Reads what would be moved, and lists in `refusals` what cannot be read. Takes as long as reading `bytesToMove`,
   * which `onProgress` reports first. Writes nothing. Default: false. A running domain refuses it.
   */
  readonly readData?: boolean | undefined
}

/** Options of every plan and pull of a domain's disk. */
export interface DiskPullOptions extends Limit, SizeOptions, SiblingOptions, BackingFormatOptions, TrailingOptions {
  /**
   * The layer that stays as backing file: a path, the name that a header states, or `vda[2]`. A name that fits two
   * layers is refused. Default: none, everything is pulled.
   */
  readonly base?: PathLike | null | undefined
}

/** Options of `domain.plan`. */
export interface DiskPlanOptions<Size extends number | bigint = number>
  extends DiskPullOptions,
    WalkOptions<Size>,
    ReadDataOptions {}

export interface StartOptions {
  /**
   * What a failed read or write does. 'report' (the default): the job fails, and keeps what it copied. 'stop': it waits
   * until `domain.blockJobResume`, and `progress.stoppedOn` names the error. 'enospc': it waits if a disk is full, and
   * fails otherwise. 'stop' and 'enospc' are for running domains; an image and a shut-off disk refuse them.
   */
  readonly onError?: 'report' | 'stop' | 'enospc' | undefined
  /** Aborting it aborts the job; `done` then rejects with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
}

/** Options of `domain.blockPull`. */
export interface BlockPullOptions extends DiskPullOptions, StartOptions {
  /**
   * For a running domain: the job needs no process to wait for it. This process finishes the job if it is still there.
   * Otherwise the job waits in QEMU, with its backing file, until the next connection or `reap` finishes it. Refused
   * for a shut-off domain. Default: false.
   */
  readonly detached?: boolean | undefined
}

/** Options of `domain.blockRebase`. */
export interface BlockRebaseOptions extends BlockPullOptions {
  /** Keep the backing file's name relative, as it was. Default: false. */
  readonly relative?: boolean | undefined
}

/** Options of `domain.blockJobAbort`. */
export interface BlockJobAbortOptions {
  /** Return as soon as the job was asked to end, without waiting for its end. Default: false. */
  readonly async?: boolean | undefined
}

/** How image files are opened. */
export interface ImageOptions extends SizeOptions, BackingFormatOptions {
  /** Format of the image. Default: detected by its magic number, never raw. */
  readonly format?: string | undefined
  /** Folders that backing files must lie in, symbolic links resolved. Default: any local regular file. */
  readonly backingPaths?: readonly PathLike[] | undefined
}

/** Options of `inspectChain` and `digestImage`. */
export interface ImageWalkOptions<Size extends number | bigint = number> extends ImageOptions, WalkOptions<Size> {}

/** Options of `imageInfo`. */
export interface ImageInfoOptions extends SizeOptions {
  /** Format of the image. Default: detected by its magic number, never raw. */
  readonly format?: string | undefined
}

/** Options of `checkImage`. */
export interface CheckImageOptions<Size extends number | bigint = number> extends ImageInfoOptions, WalkOptions<Size> {
  /**
   * 'leaks': take back leaks, if there are no errors. 'all': also mend refcounts and copied flags. Default: only read.
   * An entry that cannot be right is never guessed at, and while there is one, nothing is freed.
   */
  readonly repair?: 'leaks' | 'all' | undefined
}

/** Options of `compareImages`. */
export interface CompareImagesOptions<Size extends number | bigint = number> extends SizeOptions, WalkOptions<Size> {
  /** How the first image is opened. */
  readonly a?: ChainOptions | undefined
  /** How the second one is opened. */
  readonly b?: ChainOptions | undefined
}

/** How one of two images is opened. */
export type ChainOptions = Omit<ImageOptions, 'bigint'>

/** Options of every plan and pull of an image. */
export interface ImagePullOptions extends ImageOptions, Limit, SiblingOptions, TrailingOptions {
  /**
   * The layer that stays as backing file: a path, or the name that a header states. A name that fits two layers is
   * refused. Default: none, everything is pulled.
   */
  readonly base?: PathLike | null | undefined
}

/** Options of `plan`. */
export interface PlanOptions<Size extends number | bigint = number>
  extends ImagePullOptions,
    WalkOptions<Size>,
    ReadDataOptions {}

/** Options of `pullImage`. */
export interface PullImageOptions extends ImagePullOptions, StartOptions {}

/** Options of `createImage`. */
export interface CreateImageOptions {
  /** Virtual size: bytes, or '10GiB'. Default: the backing file's. */
  readonly size?: number | bigint | string | undefined
  readonly backingFile?: PathLike | undefined
  /** Must be stated with a `backingFile`: formats are never guessed. */
  readonly backingFormat?: string | undefined
  /** Bytes, or '64K'. Default: 65536. */
  readonly clusterSize?: number | bigint | string | undefined
  /** Version of the qcow2 header, 2 or 3. Default: 3. */
  readonly version?: 2 | 3 | undefined
}

export interface ConnectOptions {
  /** Refuse whatever changes anything. Default: false. */
  readonly readOnly?: boolean | undefined
  /** Folders that backing files must lie in, symbolic links resolved. Default: any local regular file. */
  readonly backingPaths?: readonly PathLike[] | undefined
  /** How long the monitors of running guests may take. */
  readonly monitorTimeouts?: MonitorTimeouts | undefined
}

/** In milliseconds. */
export interface MonitorTimeouts {
  /** For the greeting of a monitor, which comes when nobody else is connected. Default: 5000. */
  readonly connect?: number | undefined
  /** For an answer. Default: 30000. */
  readonly query?: number | undefined
  /** For commands that change the graph of images. Default: 300000. */
  readonly change?: number | undefined
}

/** A domain given in code rather than by a folder of XML files. */
export interface DomainDescription {
  readonly name: string
  /** Default: made from the name. */
  readonly uuid?: string | undefined
  /** Path of the guest's QMP socket. Default: none, the domain is shut off. */
  readonly qmp?: string | undefined
  readonly disks: readonly Disk[]
}

/** What `connect` takes in place of a URI. */
export interface ConnectDescription extends ConnectOptions {
  readonly domains: readonly DomainDescription[]
}
