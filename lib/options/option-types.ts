// SPDX-License-Identifier: Apache-2.0
//
// What callers may write: the option objects of every call, types only.
//
// Every option may be `undefined` explicitly, which is the same as absent: under `exactOptionalPropertyTypes`
// nobody should have to build objects key by key. Units are in names or in strings, never in a convention.
// `options.ts` and `connect-options.ts` read these.

import type { Disk, WalkProgress } from '../results/structs.js'

/** A file's name: a string, the bytes of a name that is no UTF-8 (a Buffer), or a `file:` URL. */
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

/** Formats of layers whose overlay states none; what an overlay states is obeyed. Default: such a chain is refused. */
export interface BackingFormatOptions {
  /**
   * Formats by file: `{ '/srv/base.img': 'raw' }`, or a Map for a file whose name is no string. Another path of the
   * file will do. Of a domain's disk, for files of which its XML (`<backingStore>`) says nothing.
   */
  readonly backingFormats?: Readonly<Record<string, string>> | ReadonlyMap<PathLike, string> | undefined
  /**
   * Format of one such layer, refused where there are several. 'raw' is refused for a file that begins as an image of
   * another format: `backingFormats` may say so.
   */
  readonly backingFormat?: string | undefined
}

/** Where it is looked for who else needs a file that a pull would release. */
export interface SiblingOptions {
  /**
   * Folders whose qcow2 images are looked at, each with its chain: what one of them needs is not `released`. Not the
   * folders in them, and at most 10000 files in each. Default: none.
   */
  readonly siblings?: readonly PathLike[] | undefined
}

/** What becomes of bytes that another program has put behind the image, into its file. */
export interface TrailingOptions {
  /**
   * 'keep': they end the file again, also where the pull is killed in the middle. 'discard', for one image that is
   * named by itself: they are written over. Default: such an image is refused. A running domain takes neither.
   */
  readonly trailingData?: 'keep' | 'discard' | undefined
}

/** Options of calls that go through tables or data, which takes long on large disks. */
export interface WalkOptions<Size extends number | bigint = number> {
  /** Aborting it ends the call, which then rejects with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
  /** Told how far the call is, about ten times a second at most, and not after its end. */
  readonly onProgress?: ((progress: WalkProgress<Size>) => void) | undefined
}

/** Whether a plan reads. */
export interface ReadDataOptions {
  /**
   * Read what would be moved, and have in `refusals` what cannot be read. Takes as long as reading `bytesToMove` does,
   * which `onProgress` tells first. Writes nothing. Default: false. A running domain refuses it.
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
   * What a failed read or write does. 'report', the default: the job fails, and keeps what it copied. 'stop': it waits,
   * `progress.stoppedOn` says on what, until `domain.blockJobResume`. 'enospc': it waits if a disk is full, and fails
   * otherwise. The last two are for a running domain; an image, and a disk that is shut off, refuse them.
   */
  readonly onError?: 'report' | 'stop' | 'enospc' | undefined
  /** Aborting it aborts the job; `done` then rejects with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
}

/** Options of `domain.blockPull`. */
export interface BlockPullOptions extends DiskPullOptions, StartOptions {
  /**
   * For a running domain: nobody need wait. This process finishes the job if it lives; else the job waits in QEMU,
   * with its backing file, until the next connection or `reap` finishes it. Refused for a domain that is shut off.
   * Default: false.
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
  /** Return once the job was asked to end, rather than once it has ended. Default: false. */
  readonly async?: boolean | undefined
}

/** How image files are opened. */
export interface ImageOptions extends SizeOptions, BackingFormatOptions {
  /** Format of the image named. Default: told by its magic, which never says raw. */
  readonly format?: string | undefined
  /** Folders that backing files must lie in, symbolic links resolved. Default: any local regular file. */
  readonly backingPaths?: readonly PathLike[] | undefined
}

/** Options of `inspectChain` and `digestImage`. */
export interface ImageWalkOptions<Size extends number | bigint = number> extends ImageOptions, WalkOptions<Size> {}

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
