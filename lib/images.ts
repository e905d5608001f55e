// SPDX-License-Identifier: Apache-2.0
//
// Calls on bare image files, which need no connection and no domain.
//
// The exported functions load the addon at their first call, never at import, so that a program can import the
// package where the addon is missing and is told about it when it asks for something. `imageCalls` makes the same
// functions over any binding, for tests. No guest byte is ever read into JavaScript: a digest is made below.

import { type BlockJob, startJob, warnOfFailure } from './job/block-job.js'
import { walked } from './job/walks.js'
import { loadBinding, type NativeBinding } from './native.js'
import type {
  CreateImageOptions,
  ImageWalkOptions,
  PathLike,
  PlanOptions,
  PullImageOptions,
} from './options/option-types.js'
import { readCreate, readImage, readImagePlan, readImagePull } from './options/options.js'
import { called } from './results/errors.js'
import { sizeReader, toLayer, toPlan } from './results/results.js'
import type { Digest, Layer, Plan } from './results/structs.js'

/** A call that gives bigints when `{ bigint: true }` is among its options, and numbers otherwise. */
interface Sized<Options, Numbers, Bigints, BigintOptions = Options> {
  (path: PathLike, options: BigintOptions & { readonly bigint: true }): Promise<Bigints>
  (path: PathLike, options?: Options): Promise<Numbers>
}

/** The calls of this file. */
export interface ImageCalls {
  readonly pullImage: Sized<PullImageOptions, BlockJob, BlockJob<bigint>>
  readonly plan: Sized<PlanOptions, Plan, Plan<bigint>, PlanOptions<bigint>>
  readonly inspectChain: Sized<ImageWalkOptions, Layer[], Layer<bigint>[], ImageWalkOptions<bigint>>
  readonly digestImage: Sized<ImageWalkOptions, Digest, Digest<bigint>, ImageWalkOptions<bigint>>
  readonly createImage: (path: PathLike, options: CreateImageOptions) => Promise<void>
}

/** The image calls over a binding, which is asked for when a call is made. */
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

  async function createImage(path: PathLike, options: CreateImageOptions): Promise<void> {
    const request = readCreate(path, options)
    await called(() => binding().createImage(request))
  }

  return {
    pullImage: pullImage as ImageCalls['pullImage'],
    plan: plan as ImageCalls['plan'],
    inspectChain: inspectChain as ImageCalls['inspectChain'],
    digestImage: digestImage as ImageCalls['digestImage'],
    createImage,
  }
}

const calls = imageCalls(loadBinding)

/**
 * Fills an image file from its backing chain, down to `base` or altogether; resolves once the job runs. Without a
 * limit it goes as fast as the storage does. The image must not be in use.
 *
 * Rejects with `LOCKED` (`holder` says by whom), `NOT_FOUND`, `ACCESS_DENIED`, `READ_ONLY`, `NO_BASE`, `FORMAT_UNKNOWN`
 * (say `format: 'raw'` if you mean it), `FEATURE_UNSUPPORTED`, `IMAGE_CORRUPT`, `CHAIN_LOOP`, `POLICY`
 * (`backingPaths`), `UNSUPPORTED` (over 256 layers, or no regular file), `JOB_ACTIVE`; nothing has been written then. A
 * failure that nobody awaits becomes a process warning.
 *
 * ```js
 * const job = await pullImage('overlay.qcow2', { bandwidth: '50MiB/s' })
 * const { bytesMoved, released } = await job.done
 * ```
 */
export const pullImage = calls.pullImage

/**
 * What `pullImage` would do, and in `refusals` what would refuse the pull of a chain that can be read, the first as
 * `pullImage` itself would say it. Changes nothing and takes no lock. Rejects with `NO_BASE`, and as `inspectChain`
 * does when the chain cannot be read; or, where a pull would be refused before it met that, as the pull (`LOCKED`).
 *
 * With `readData` it reads what would be moved, and has in `refusals` what cannot be read:
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
 * The layers of an image, the active one first: formats, sizes, who holds how much, who has it open. Takes no lock.
 * Rejects with `NOT_FOUND`, `ACCESS_DENIED`, `FORMAT_UNKNOWN`, `FEATURE_UNSUPPORTED`, `IMAGE_CORRUPT`, `CHAIN_LOOP`,
 * `POLICY`, `UNSUPPORTED` (over 256 layers, or no regular file), `IO`; like `plan` and `digestImage` with an
 * `AbortError` once `signal` is aborted.
 */
export const inspectChain = calls.inspectChain

/**
 * SHA-256 of what a guest would read from the image, to compare before and after. Takes no lock. Rejects as
 * `inspectChain` does.
 */
export const digestImage = calls.digestImage

/**
 * Makes a qcow2 image, an overlay when `backingFile` and `backingFormat` are given. Never replaces a file.
 *
 * Rejects with `INVALID_ARGUMENT` (the file exists), `OVERFLOW` (too large for its clusters), `NOT_FOUND`,
 * `ACCESS_DENIED`, `READ_ONLY`, `NO_SPACE`, `IO`, and as `inspectChain` does when the backing chain cannot be read.
 */
export const createImage = calls.createImage
