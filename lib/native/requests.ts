// SPDX-License-Identifier: Apache-2.0
//
// What native calls take: plain objects, as lib/native.ts says.

/** A file's name: a string, or its bytes. */
export type NativePath = string | Uint8Array

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

/** The formats that the caller states for layers whose overlay states none. */
export interface NativeBackingFormats {
  /** Of the one layer without any other statement, or `null`. */
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
  /** `qemu:///embed?root=DIR`; '' for the one that the environment names; `null` when `domains` is given. */
  readonly uri: string | null
  readonly domains: readonly NativeDomainDescription[] | null
  readonly readOnly: boolean
  readonly backingPaths: readonly NativePath[] | null
  /** How long a monitor may take, in milliseconds: for its greeting, for an answer, for a change of its images. */
  readonly connectTimeout: bigint | null
  readonly queryTimeout: bigint | null
  readonly changeTimeout: bigint | null
}

/** One image file, whatever its backing file is. */
export interface NativeImageFileRequest {
  readonly path: NativePath
  /** `null` to tell it by its magic (never raw). */
  readonly format: string | null
}

export interface NativeImageCheckRequest extends NativeImageFileRequest {
  /** `null`: only read. */
  readonly repair: 'leaks' | 'all' | null
}

/** The image-level options that `pullImage`, `planImage`, `inspectChain`, `digestImage` and `compareImages` share. */
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
  readonly bandwidth: bigint
  /** Folders of images that may need what would be released, or `null`. */
  readonly siblings: readonly NativePath[] | null
  /** For what another program has put behind the image. */
  readonly trailingData: 'refuse' | 'keep' | 'discard'
}

export interface NativePlanRequest extends NativePullRequest {
  /** Whether what would be moved is read. */
  readonly readData: boolean
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
  /** Running domains only: no process need wait for the job; the next connection, or a reap, finishes it. */
  readonly detached: boolean
  /** What a failed read or write does: the job fails or, for a running domain, waits to be resumed. */
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

/** The start of a pull. */
export interface NativeBlockPullStart extends NativeBlockPullRequest {
  /** The caller's own number, by which `giveUp` finds it. */
  readonly ticket: bigint
}

/** `virConnectDomainEventRegisterAny`; the callback itself stays in JavaScript. */
export interface NativeEventCall {
  readonly eventId: number
  /** Of the one domain, or `null` for every domain. */
  readonly domainUuid: string | null
  readonly domainName: string | null
  /** The domain's handle was made by another connection. */
  readonly isOfOtherConnection: boolean
  /** The same for the same function, never 0. */
  readonly callback: bigint
}
