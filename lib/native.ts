// SPDX-License-Identifier: Apache-2.0
//
// The contract between TypeScript and the addon, and the only file that loads it.
//
// Every native call takes one plain request object and gives one plain result. 64-bit numbers cross as BigInt
// in both directions; enumerations cross as libvirt's numbers; `null` means absent. A call that fails rejects
// with a `NativeFailure`, a plain record: only `lib/results/errors.ts` turns it into a `BlockPullError`.
// The objects are in `lib/native/`. Nothing outside `lib/` may import this file. Nothing here checks input:
// `lib/options/options.ts` has done that.

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadFacts, loadFailure } from './native/load-failure.js'
import type {
  NativeBlockJobEvent,
  NativeBlockJobInfo,
  NativeCheckReport,
  NativeComparison,
  NativeDomain,
  NativeImageInfo,
  NativeJobUpdate,
  NativeLayer,
  NativePlan,
  NativeProgress,
  NativeReapedJob,
  NativeWalkProgress,
} from './native/records.js'
import type {
  NativeBlockPullStart,
  NativeConnectRequest,
  NativeCreateRequest,
  NativeDiskDescription,
  NativeDiskPlanRequest,
  NativeDiskRequest,
  NativeDomainRequest,
  NativeEventCall,
  NativeImageCheckRequest,
  NativeImageFileRequest,
  NativeImageRequest,
  NativePlanRequest,
  NativePullRequest,
} from './native/requests.js'

export type * from './native/records.js'
export type * from './native/requests.js'

/** A running job. Every call answers at once. */
export interface NativeJob {
  progress(): NativeProgress
  /** Asks for the end at a consistent point; the outcome comes as an update. */
  abort(): void
  setBandwidth(request: { readonly bandwidth: bigint }): void
  /** Whether a running job keeps the process alive (it does from birth). */
  ref(): void
  unref(): void
}

/** One call that goes through tables or data, made before it and passed to it. Both methods answer at once. */
export interface NativeWalk {
  /** Makes the call reject with 'CANCELLED', unless it waits for a disk or for a QEMU. */
  giveUp(): void
  /** `null` before there is something to count. */
  progress(): NativeWalkProgress | null
}

export interface NativeConnection {
  readonly uri: string
  /** virConnectListAllDomains' flags. */
  listDomains(request: { readonly flags: number }): Promise<readonly NativeDomain[]>
  lookupDomain(request: { readonly name: string | null; readonly uuid: string | null }): Promise<NativeDomain>
  defineXml(request: { readonly xml: string }): Promise<NativeDomain>
  /** virDomainGetXMLDesc's flags. */
  domainXml(request: NativeDomainRequest & { readonly flags: number }): Promise<string>
  /** The disks of the XML; if it states none and the domain runs, those of its QEMU. */
  listDisks(request: NativeDomainRequest): Promise<readonly NativeDiskDescription[]>
  /** Gives the id of the registration; events name it in `notices`. */
  registerEvent(request: NativeEventCall): Promise<number>
  deregisterEvent(request: { readonly id: number }): Promise<void>
  blockPull(request: NativeBlockPullStart, onUpdate: (update: NativeJobUpdate) => void): Promise<NativeJob>
  /**
   * Stops waiting for QEMU's answer to a `blockPull`, which then rejects with 'MONITOR_TIMEOUT'. `qemu.command` is
   * 'block-stream' if QEMU may still start the job. Does nothing if QEMU has answered.
   */
  giveUp(request: { readonly ticket: bigint }): void
  newWalk(): NativeWalk
  plan(request: NativeDiskPlanRequest, walk: NativeWalk): Promise<NativePlan>
  blockJobInfo(request: NativeDiskRequest & { readonly flags: number }): Promise<NativeBlockJobInfo | null>
  blockJobSetSpeed(request: NativeDiskRequest & { readonly bandwidth: bigint; readonly flags: number }): Promise<void>
  /** Resumes a job that stopped on an error. */
  blockJobResume(request: NativeDiskRequest & { readonly flags: number }): Promise<void>
  /** Without the ASYNC flag resolves when the job has ended. */
  blockJobAbort(request: NativeDiskRequest & { readonly flags: number }): Promise<void>
  /** Finishes the orphaned jobs in the domain's QEMU; resolves once all of them have ended. */
  reapJobs(request: NativeDomainRequest): Promise<readonly NativeReapedJob[]>
  /**
   * Ends its own engine's jobs at a consistent point and waits for them, leaves QEMU's jobs to QEMU, and refuses every
   * later call. Idempotent.
   */
  close(): Promise<void>
}

export interface NativeBinding {
  readonly version: string
  openConnection(
    request: NativeConnectRequest,
    onEvent: (event: NativeBlockJobEvent) => void,
  ): Promise<NativeConnection>
  /** Resolves once the job runs; every refusal comes before that. */
  pullImage(request: NativePullRequest, onUpdate: (update: NativeJobUpdate) => void): Promise<NativeJob>
  newWalk(): NativeWalk
  planImage(request: NativePlanRequest, walk: NativeWalk): Promise<NativePlan>
  inspectChain(request: NativeImageRequest, walk: NativeWalk): Promise<readonly NativeLayer[]>
  createImage(request: NativeCreateRequest): Promise<void>
  digestImage(
    request: NativeImageRequest,
    walk: NativeWalk,
  ): Promise<{ readonly sha256: string; readonly bytes: bigint }>
  compareImages(a: NativeImageRequest, b: NativeImageRequest, walk: NativeWalk): Promise<NativeComparison>
  imageInfo(request: NativeImageFileRequest): Promise<NativeImageInfo>
  checkImage(request: NativeImageCheckRequest, walk: NativeWalk): Promise<NativeCheckReport>
}

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..')
let loaded: NativeBinding | undefined

/** What node-gyp-build gives: where the addon lies. */
interface AddonFinder {
  path(root: string): string
}

/** Loads `build/Release` (a source build) or `prebuilds/`, whichever is there, in that order, at the first call. */
export function loadBinding(): NativeBinding {
  if (loaded !== undefined) return loaded
  const load = createRequire(import.meta.url)
  let file: string | null = null
  try {
    file = (load('node-gyp-build') as AddonFinder).path(packageRoot)
    loaded = load(file) as NativeBinding
    return loaded
  } catch (cause) {
    throw new Error(loadFailure(loadFacts(packageRoot, file, cause)), { cause })
  }
}
