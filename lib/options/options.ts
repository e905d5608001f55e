// SPDX-License-Identifier: Apache-2.0
//
// The options of pulls and images, made into native requests.
//
// Each reader takes the arguments of one call, checks their shape and gives a complete request: defaults filled in,
// units and `undefined` gone. Every TypeError and RangeError about input comes from here, from `connect-options.ts`, or
// from the checks and quantities that both use. All of them come before the addon is called.

import { VIR_ERR_ARGUMENT_UNSUPPORTED, VIR_FROM_QEMU } from '../libvirt/errors.js'
import type {
  NativeBackingFormats,
  NativeCreateRequest,
  NativeFileFormat,
  NativeImageCheckRequest,
  NativeImageFileRequest,
  NativeImageRequest,
  NativePath,
  NativePlanRequest,
  NativePullRequest,
} from '../native.js'
import { refusal } from '../results/errors.js'
import type { WalkProgress } from '../results/structs.js'
import * as check from './argument-checks.js'
import type {
  BackingFormatOptions,
  BlockJobAbortOptions,
  BlockRebaseOptions,
  CheckImageOptions,
  CompareImagesOptions,
  CreateImageOptions,
  DiskPlanOptions,
  ImageInfoOptions,
  ImageOptions,
  ImagePullOptions,
  ImageWalkOptions,
  Limit,
  PlanOptions,
  PullImageOptions,
  SiblingOptions,
  SizeOptions,
  TrailingOptions,
  WalkOptions,
} from './option-types.js'
import { parseBandwidth, parseSize } from './quantities.js'

/** A pull of a domain's disk, read. */
export interface DiskPull {
  readonly base: NativePath | null
  readonly bandwidth: bigint
  readonly relative: boolean
  readonly detached: boolean
  readonly signal: AbortSignal | null
  readonly bigint: boolean
  readonly siblings: readonly NativePath[] | null
  readonly formats: NativeBackingFormats
  readonly onError: 'report' | 'stop' | 'enospc'
  readonly trailingData: TrailingPolicy
}

/** The arguments of a call that walks tables or data, apart from its request. */
export interface WalkGiven {
  readonly signal: AbortSignal | null
  readonly onProgress: ((progress: WalkProgress<never>) => void) | null
  readonly bigint: boolean
}

/** A plan of a domain's disk, read. */
export interface DiskPlan extends DiskPull, WalkGiven {
  readonly readData: boolean
}

type TrailingPolicy = NativePullRequest['trailingData']

const limitKeys = ['bandwidth', 'bytesPerSecond'] as const
const startKeys = ['onError', 'signal'] as const
const diskStartKeys = [...startKeys, 'detached'] as const
const walkKeys = ['signal', 'onProgress'] as const
const planKeys = [...walkKeys, 'readData'] as const
const formatKeys = ['backingFormat', 'backingFormats'] as const
const chainKeys = ['format', ...formatKeys, 'backingPaths'] as const
const imageKeys = [...chainKeys, 'bigint'] as const
const anyPullKeys = ['base', 'siblings', 'trailingData', ...limitKeys] as const
const diskPullKeys = [...anyPullKeys, 'bigint', ...formatKeys] as const
const imagePullKeys = [...anyPullKeys, ...imageKeys] as const

/** Bytes a second of a limit, 0 for none. */
function readLimit({ bandwidth, bytesPerSecond }: Limit): bigint {
  if (bandwidth !== undefined && bytesPerSecond !== undefined) {
    throw new TypeError("bandwidth and bytesPerSecond are both given; expected one of them, '50MiB/s' for example")
  }
  if (bytesPerSecond !== undefined) {
    return check.checkWhole('bytesPerSecond', bytesPerSecond, check.maxBytes, 'a whole number of bytes a second')
  }
  if (bandwidth === undefined) return 0n
  if (typeof bandwidth === 'string') return parseBandwidth('bandwidth', bandwidth)
  throw check.wrongType(
    'bandwidth',
    bandwidth,
    "a string with a unit such as '50MiB/s', or bytesPerSecond for a number",
  )
}

function readSiblings({ siblings }: SiblingOptions): readonly NativePath[] | null {
  return check.checkPathsOrNull('siblings', siblings, 'an array of folders')
}

/** Formats by file, `null` for none. */
export function readFileFormats(name: string, formats: object | undefined): readonly NativeFileFormat[] | null {
  if (formats === undefined) return null
  check.checkObject(name, formats, "a Map, or an object such as { '/srv/base.img': 'raw' }")
  const entries: Iterable<[unknown, unknown]> = formats instanceof Map ? formats : Object.entries(formats)
  return [...entries].map(([path, format]) => ({
    path: check.checkPath(`a file of ${name}`, path),
    format: check.checkFilled(`${name}['${path}']`, format, 'a string'),
  }))
}

function readBackingFormats({ backingFormat, backingFormats }: BackingFormatOptions): NativeBackingFormats {
  return {
    backingFormat: check.checkStringOrNull('backingFormat', backingFormat),
    backingFormats: readFileFormats('backingFormats', backingFormats),
  }
}

/** The limit given to `setBandwidth` and `blockJobSetSpeed`: '50MiB/s' or an object. */
export function readNewLimit(call: string, limit: unknown): bigint {
  if (typeof limit === 'string') return parseBandwidth('bandwidth', limit)
  if (typeof limit !== 'object' || limit === null) {
    throw check.wrongType(`limit of ${call}`, limit, "a string such as '50MiB/s', or { bytesPerSecond: 52428800 }")
  }
  const given = check.checkOptions<Limit>(call, limit, limitKeys)
  if (given.bandwidth === undefined && given.bytesPerSecond === undefined) {
    throw check.wrongType(`limit of ${call}`, limit, "bandwidth or bytesPerSecond; '0' lifts the limit")
  }
  return readLimit(given)
}

const errorPolicies = ['report', 'stop', 'enospc'] as const

function readOnError(onError: unknown): (typeof errorPolicies)[number] {
  const policy = errorPolicies.find((name) => name === (onError ?? 'report'))
  if (policy === undefined) throw check.wrongType('onError', onError, "'report', 'stop' or 'enospc'")
  return policy
}

function readTrailing({ trailingData }: TrailingOptions): TrailingPolicy {
  if (trailingData === undefined) return 'refuse'
  if (trailingData === 'keep' || trailingData === 'discard') return trailingData
  throw check.wrongType('trailingData', trailingData, "'keep' or 'discard'")
}

/** Refuses policies that only a guest's QEMU has. */
function checkImageOnError(given: unknown): void {
  const onError = readOnError(given)
  if (onError === 'report') return
  const message =
    `onError '${onError}' is not supported for an image file; use 'report', which fails the job and keeps ` +
    'what was copied'
  throw refusal('UNSUPPORTED', VIR_ERR_ARGUMENT_UNSUPPORTED, VIR_FROM_QEMU, message)
}

function readOnProgress(onProgress: unknown): WalkGiven['onProgress'] {
  if (onProgress === undefined) return null
  return check.checkFunction('onProgress', onProgress, 'a function') as WalkGiven['onProgress']
}

/** The options of a long call, `bigint` included. */
function readWalk(given: WalkOptions<never> & SizeOptions): WalkGiven {
  return {
    signal: check.checkSignal('signal', given.signal),
    onProgress: readOnProgress(given.onProgress),
    bigint: check.checkBoolean('bigint', given.bigint),
  }
}

export function readDiskPlan(options: DiskPlanOptions<never> | undefined): DiskPlan {
  const { readData, onProgress, ...pull } = check.checkOptions('plan', options, [...diskPullKeys, ...planKeys])
  const read = readDiskPull('plan', pull, false)
  return {
    ...read,
    readData: check.checkBoolean('readData', readData),
    onProgress: readOnProgress(onProgress),
  }
}

export function readDiskPull(call: string, options: BlockRebaseOptions | undefined, relative: boolean): DiskPull {
  const keys = [...diskPullKeys, ...diskStartKeys] as const
  const given = check.checkOptions(call, options, relative ? [...keys, 'relative'] : keys)
  const read = {
    base: check.checkPathOrNull('base', given.base),
    bandwidth: readLimit(given),
    relative: check.checkBoolean('relative', given.relative),
    detached: check.checkBoolean('detached', given.detached),
    signal: check.checkSignal('signal', given.signal),
    bigint: check.checkBoolean('bigint', given.bigint),
    siblings: readSiblings(given),
    formats: readBackingFormats(given),
    onError: readOnError(given.onError),
    trailingData: readTrailing(given),
  }
  return read
}

export function readAsync(call: string, options: BlockJobAbortOptions | undefined): boolean {
  return check.checkBoolean('async', check.checkOptions(call, options, ['async']).async)
}

export function readBigint(call: string, options: SizeOptions | undefined): boolean {
  return check.checkBoolean('bigint', check.checkOptions(call, options, ['bigint']).bigint)
}

function readFormats(path: unknown, given: ImageOptions): NativeImageRequest {
  return {
    path: check.checkPath('path', path),
    format: check.checkStringOrNull('format', given.format),
    ...readBackingFormats(given),
    backingPaths: check.checkPathsOrNull('backingPaths', given.backingPaths, 'an array of folders'),
  }
}

/** An image call's request, and whether its sizes are bigints. */
export interface Read<Request> {
  readonly request: Request
  readonly bigint: boolean
}

/** The same for a long call. */
export interface ReadWalk<Request> extends Read<Request>, WalkGiven {}

export function readImage(
  call: string,
  path: unknown,
  options: ImageWalkOptions<never> | undefined,
): ReadWalk<NativeImageRequest> {
  const given = check.checkOptions(call, options, [...imageKeys, ...walkKeys])
  return { request: readFormats(path, given), ...readWalk(given) }
}

export function readImageInfo(path: unknown, options: ImageInfoOptions | undefined): Read<NativeImageFileRequest> {
  const given = check.checkOptions('imageInfo', options, ['format', 'bigint'])
  const bigint = check.checkBoolean('bigint', given.bigint)
  return { request: readImageFile(path, given), bigint }
}

export function readImageCheck(
  path: unknown,
  options: CheckImageOptions<never> | undefined,
): ReadWalk<NativeImageCheckRequest> {
  const given = check.checkOptions('checkImage', options, ['format', 'repair', 'bigint', ...walkKeys])
  return { request: { ...readImageFile(path, given), repair: readRepair(given.repair) }, ...readWalk(given) }
}

function readImageFile(path: unknown, { format }: ImageInfoOptions): NativeImageFileRequest {
  return { path: check.checkPath('path', path), format: check.checkStringOrNull('format', format) }
}

function readRepair(repair: CheckImageOptions['repair']): NativeImageCheckRequest['repair'] {
  if (repair === undefined) return null
  if (repair === 'leaks' || repair === 'all') return repair
  throw check.wrongType('repair', repair, "'leaks' or 'all'")
}

export function readCompare(
  paths: readonly [unknown, unknown],
  options: CompareImagesOptions<never> | undefined,
): ReadWalk<readonly [NativeImageRequest, NativeImageRequest]> {
  const given = check.checkOptions('compareImages', options, ['a', 'b', 'bigint', ...walkKeys])
  const a = readFormats(paths[0], check.checkOptions('compareImages', given.a, chainKeys))
  const b = readFormats(paths[1], check.checkOptions('compareImages', given.b, chainKeys))
  return { request: [a, b], ...readWalk(given) }
}

export function readImagePlan(path: unknown, options: PlanOptions<never> | undefined): ReadWalk<NativePlanRequest> {
  const given = check.checkOptions('plan', options, [...imagePullKeys, ...planKeys])
  const readData = check.checkBoolean('readData', given.readData)
  return { request: { ...readPullRequest(path, given), readData }, ...readWalk(given) }
}

export function readImagePull(
  path: unknown,
  options: PullImageOptions | undefined,
): Read<NativePullRequest> & { readonly signal: AbortSignal | null } {
  const given = check.checkOptions('pullImage', options, [...imagePullKeys, ...startKeys])
  const request = readPullRequest(path, given)
  const signal = check.checkSignal('signal', given.signal)
  const bigint = check.checkBoolean('bigint', given.bigint)
  checkImageOnError(given.onError)
  return { request, signal, bigint }
}

function readPullRequest(path: unknown, given: ImagePullOptions): NativePullRequest {
  const base = check.checkPathOrNull('base', given.base)
  const siblings = readSiblings(given)
  const limit = { bandwidth: readLimit(given), trailingData: readTrailing(given) }
  return { ...readFormats(path, given), base, ...limit, siblings }
}

function readSize(name: string, value: unknown): bigint {
  if (typeof value === 'string') return parseSize(name, value)
  return check.checkWhole(name, value, check.maxBytes, "a whole number of bytes, or a string such as '10GiB'")
}

export function readCreate(path: unknown, options: CreateImageOptions | undefined): NativeCreateRequest {
  const keys = ['size', 'backingFile', 'backingFormat', 'clusterSize', 'version'] as const
  const given = check.checkOptions('createImage', options, keys)
  const request = {
    path: check.checkPath('path', path),
    size: given.size === undefined ? null : readSize('size', given.size),
    backingFile: check.checkPathOrNull('backingFile', given.backingFile),
    backingFormat: check.checkStringOrNull('backingFormat', given.backingFormat),
    clusterSize: readSize('clusterSize', given.clusterSize ?? 65536n),
    version: Number(check.checkWhole('version', given.version ?? 3, 3n, '2 or 3')),
  }
  const clusters = request.clusterSize
  if (clusters < 512n || clusters > 2097152n || (clusters & (clusters - 1n)) !== 0n) {
    throw check.outOfRange('clusterSize', given.clusterSize, 'a power of two from 512 to 2097152')
  }
  if (request.version < 2) throw check.outOfRange('version', given.version, '2 or 3')
  if (request.backingFile === null && request.size === null) {
    throw check.wrongType('size', given.size, "a size such as '10GiB', since there is no backingFile to take it from")
  }
  if ((request.backingFile === null) !== (request.backingFormat === null)) {
    const [name, value] = request.backingFile === null ? ['backingFile', null] : ['backingFormat', null]
    throw check.wrongType(name, value, 'both backingFile and backingFormat, since formats are never guessed')
  }
  return request
}
