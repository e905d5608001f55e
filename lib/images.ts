// SPDX-License-Identifier: Apache-2.0
//
// Calls on bare image files, which need no connection and no domain.
//
// The exported functions load the addon at their first call, never at import. So a program can import the package
// without the addon, and gets the error when it calls something. `imageCalls` makes the same functions over any
// binding, for tests. No guest byte is ever read into JavaScript: the addon computes digests.

import { type BlockJob, startJob, warnOfFailure } from './job/block-job.js'
import { walked } from './job/walks.js'
import { loadBinding, type NativeBinding } from './native.js'
import type {
  CheckImageOptions,
  CompareImagesOptions,
  CreateImageOptions,
  ImageInfoOptions,
  ImageWalkOptions,
  PathLike,
  PlanOptions,
  PullImageOptions,
} from './options/option-types.js'
import {
  readCompare,
  readCreate,
  readImage,
  readImageCheck,
  readImageInfo,
  readImagePlan,
  readImagePull,
} from './options/options.js'
import { called } from './results/errors.js'
import { toCheckReport, toComparison, toImageInfo, toLayer } from './results/image-results.js'
import { sizeReader, toPlan } from './results/results.js'
import type { CheckReport, Comparison, Digest, ImageInfo, Layer, Plan } from './results/structs.js'

/** A call that gives bigints when `{ bigint: true }` is among its options, and numbers otherwise. */
interface Sized<Options, Numbers, Bigints, BigintOptions = Options> {
  (path: PathLike, options: BigintOptions & { readonly bigint: true }): Promise<Bigints>
  (path: PathLike, options?: Options): Promise<Numbers>
}

/** `compareImages`, in the same two forms. */
interface CompareImages {
  (
    a: PathLike,
    b: PathLike,
    options: CompareImagesOptions<bigint> & { readonly bigint: true },
  ): Promise<Comparison<bigint>>
  (a: PathLike, b: PathLike, options?: CompareImagesOptions): Promise<Comparison>
}

/** The calls of this file. */
export interface ImageCalls {
  readonly pullImage: Sized<PullImageOptions, BlockJob, BlockJob<bigint>>
  readonly plan: Sized<PlanOptions, Plan, Plan<bigint>, PlanOptions<bigint>>
  readonly inspectChain: Sized<ImageWalkOptions, Layer[], Layer<bigint>[], ImageWalkOptions<bigint>>
  readonly digestImage: Sized<ImageWalkOptions, Digest, Digest<bigint>, ImageWalkOptions<bigint>>
  readonly checkImage: Sized<CheckImageOptions, CheckReport, CheckReport<bigint>, CheckImageOptions<bigint>>
  readonly imageInfo: Sized<ImageInfoOptions, ImageInfo, ImageInfo<bigint>>
  readonly compareImages: CompareImages
  readonly createImage: (path: PathLike, options: CreateImageOptions) => Promise<void>
}

/** The image calls over a binding, which is loaded when a call is made. */
export function imageCalls(binding: () => NativeBinding): ImageCalls {
  async function pullImage(path: PathLike, options?: PullImageOptions): Promise<BlockJob> {
    const { request, signal, bigint } = readImagePull(path, options)
    return await startJob<number>({
      start: (onUpdate) => binding().pullImage(request, onUpdate),
      signal,
      bigint,
      onJobFailed: warnOfFailure,
    })
  }

  const newWalk = () => binding().newWalk()

  async function plan(path: PathLike, options?: PlanOptions<never>): Promise<Plan> {
    const { request, ...given } = readImagePlan(path, options)
    const planned = await walked(given, newWalk, (walk) => binding().planImage(request, walk))
    return toPlan(planned, sizeReader(given.bigint))
  }

  async function inspectChain(path: PathLike, options?: ImageWalkOptions<never>): Promise<Layer[]> {
    const { request, ...given } = readImage('inspectChain', path, options)
    const layers = await walked(given, newWalk, (walk) => binding().inspectChain(request, walk))
    return layers.map((layer) => toLayer(layer, sizeReader<number>(given.bigint)))
  }

  async function digestImage(path: PathLike, options?: ImageWalkOptions<never>): Promise<Digest> {
    const { request, ...given } = readImage('digestImage', path, options)
    const { sha256, bytes } = await walked(given, newWalk, (walk) => binding().digestImage(request, walk))
    return { sha256, bytes: sizeReader<number>(given.bigint)(bytes, 'bytes') }
  }

  async function checkImage(path: PathLike, options?: CheckImageOptions<never>): Promise<CheckReport> {
    const { request, ...given } = readImageCheck(path, options)
    const report = await walked(given, newWalk, (walk) => binding().checkImage(request, walk))
    return toCheckReport(report, sizeReader<number>(given.bigint))
  }

  async function imageInfo(path: PathLike, options?: ImageInfoOptions): Promise<ImageInfo> {
    const { request, bigint } = readImageInfo(path, options)
    return toImageInfo(await called(() => binding().imageInfo(request)), sizeReader<number>(bigint))
  }

  async function compareImages(a: PathLike, b: PathLike, options?: CompareImagesOptions<never>): Promise<Comparison> {
    const { request, ...given } = readCompare([a, b], options)
    const compared = await walked(given, newWalk, (walk) => binding().compareImages(...request, walk))
    return toComparison(compared, sizeReader<number>(given.bigint))
  }

  async function createImage(path: PathLike, options: CreateImageOptions): Promise<void> {
    const request = readCreate(path, options)
    await called(() => binding().createImage(request))
  }

  return {
    pullImage: pullImage as ImageCalls['pullImage'],
    plan: plan as ImageCalls['plan'],
    inspectChain: inspectChain as ImageCalls['inspectChain'],
    digestImage: digestImage as ImageCalls['digestImage'],
    checkImage: checkImage as ImageCalls['checkImage'],
    imageInfo: imageInfo as ImageCalls['imageInfo'],
    compareImages: compareImages as ImageCalls['compareImages'],
    createImage,
  }
}

const calls = imageCalls(loadBinding)

/**
 * Fills an image file from its backing chain, down to `base` or completely; resolves once the job runs. Without a
 * limit the job runs as fast as the storage allows. The image must not be in use.
 *
 * Rejects with `LOCKED` (`holder` says by whom), `NOT_FOUND`, `ACCESS_DENIED`, `READ_ONLY`, `NO_BASE`, `FORMAT_UNKNOWN`
 * (say `format: 'raw'` if you mean it), `FEATURE_UNSUPPORTED`, `IMAGE_CORRUPT`, `CHAIN_LOOP`, `POLICY`
 * (`backingPaths`), `UNSUPPORTED` (over 256 layers, or no regular file), `JOB_ACTIVE`. Nothing has been written then. A
 * failure that nobody awaits becomes a process warning.
 *
 * ```js
 * const job = await pullImage('overlay.qcow2', { bandwidth: '50MiB/s' })
 * const { bytesMoved, released } = await job.done
 * ```
 */
export const pullImage = calls.pullImage

/**
 * What `pullImage` would do. `refusals` lists what would refuse the pull, the first in the words of `pullImage` itself.
 * Changes nothing and takes no lock. Rejects with `NO_BASE`, and as `inspectChain` does when the chain cannot be read.
 * If a pull would be refused before it reads the chain, it rejects as the pull does (`LOCKED`).
 *
 * With `readData` it reads what would be moved, and `refusals` lists what cannot be read:
 *
 * ```js
 * const { refusals } = await plan('overlay.qcow2', {
 *   readData: true,
 *   onProgress: ({ phase, bytesDone, bytesTotal }) => console.log(phase, bytesDone, 'of', bytesTotal),
 * })
 * for (const { code, message, hint } of refusals) console.log(code, message, hint)
 * ```
 */
export const plan = calls.plan

/**
 * The layers of an image, the active one first: formats, sizes, how much each holds, who has it open. Takes no lock.
 * Rejects with `NOT_FOUND`, `ACCESS_DENIED`, `FORMAT_UNKNOWN`, `FEATURE_UNSUPPORTED`, `IMAGE_CORRUPT`, `CHAIN_LOOP`,
 * `POLICY`, `UNSUPPORTED` (over 256 layers, or no regular file), `IO`; like `plan` and `digestImage` with an
 * `AbortError` once `signal` is aborted.
 */
export const inspectChain = calls.inspectChain

/**
 * SHA-256 of what a guest reads from the image, to compare before and after a pull. Takes no lock. Rejects as
 * `inspectChain` does.
 */
export const digestImage = calls.digestImage

/**
 * Checks a qcow2 image: its refcounts, and everything that its tables refer to, internal snapshots and persistent
 * bitmaps included. Only reads. `errors` and `leaks` are counted as `qemu-img check` counts them.
 *
 * Rejects with `FORMAT_UNKNOWN` (the format has no check), `LOCKED` (`holder` says by whom), `IMAGE_CORRUPT` (the
 * header or the snapshot table cannot be right, or tables overlap in a way that only makes work),
 * `FEATURE_UNSUPPORTED` (an unknown feature, or tables over a limit), `UNSUPPORTED`, `NOT_FOUND`, `ACCESS_DENIED`,
 * `IO`; with an `AbortError` once `signal` is aborted.
 */
export const checkImage = calls.checkImage

/**
 * What the header of an image file says: size, features, internal snapshots, persistent bitmaps. Backing files are
 * named, not opened. Takes no lock. Rejects as `inspectChain` does.
 */
export const imageInfo = calls.imageInfo

/**
 * Compares what two guests would read, as `qemu-img compare` does: formats, clusters and chains do not matter. Takes no
 * lock. Data that both images have in the same place of the same file is not read. Rejects as `inspectChain` does.
 */
export const compareImages = calls.compareImages

/**
 * Makes a qcow2 image, an overlay when `backingFile` and `backingFormat` are given. Never replaces a file.
 *
 * Rejects with `INVALID_ARGUMENT` (the file exists), `OVERFLOW` (too large for its clusters), `NOT_FOUND`,
 * `ACCESS_DENIED`, `READ_ONLY`, `NO_SPACE`, `IO`, and as `inspectChain` does when the backing chain cannot be read.
 */
export const createImage = calls.createImage
