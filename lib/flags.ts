// SPDX-License-Identifier: Apache-2.0
//
// libvirt's enumerations and flags of the block-job family, grouped, for the idiomatic layer.
//
// Events and job info carry libvirt's numbers; these objects name them: `event.status === BlockJobStatus.FAILED`.
// The flag groups are what `domain.ts` builds requests from; who wants to pass flags uses `blockpull/libvirt`,
// where every constant has its C name. The numbers themselves are written once, in `libvirt-constants.ts`.

import * as vir from './libvirt-constants.js'

/** What a block job does (virDomainBlockJobType). */
export const BlockJobType = {
  UNKNOWN: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_UNKNOWN,
  PULL: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL,
  COPY: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY,
  COMMIT: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT,
  ACTIVE_COMMIT: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT,
  BACKUP: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP,
} as const

/** What became of a block job (virConnectDomainEventBlockJobStatus). */
export const BlockJobStatus = {
  COMPLETED: vir.VIR_DOMAIN_BLOCK_JOB_COMPLETED,
  FAILED: vir.VIR_DOMAIN_BLOCK_JOB_FAILED,
  CANCELED: vir.VIR_DOMAIN_BLOCK_JOB_CANCELED,
  READY: vir.VIR_DOMAIN_BLOCK_JOB_READY,
} as const

/** Flags of virDomainBlockPull. */
export const BlockPullFlag = {
  BANDWIDTH_BYTES: vir.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES,
} as const

/** Flags of virDomainBlockRebase. */
export const BlockRebaseFlag = {
  SHALLOW: vir.VIR_DOMAIN_BLOCK_REBASE_SHALLOW,
  REUSE_EXT: vir.VIR_DOMAIN_BLOCK_REBASE_REUSE_EXT,
  COPY_RAW: vir.VIR_DOMAIN_BLOCK_REBASE_COPY_RAW,
  COPY: vir.VIR_DOMAIN_BLOCK_REBASE_COPY,
  RELATIVE: vir.VIR_DOMAIN_BLOCK_REBASE_RELATIVE,
  COPY_DEV: vir.VIR_DOMAIN_BLOCK_REBASE_COPY_DEV,
  BANDWIDTH_BYTES: vir.VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES,
} as const

/** Flags of virDomainGetBlockJobInfo. */
export const BlockJobInfoFlag = {
  BANDWIDTH_BYTES: vir.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES,
} as const

/** Flags of virDomainBlockJobSetSpeed. */
export const BlockJobSpeedFlag = {
  BANDWIDTH_BYTES: vir.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES,
} as const

/** Flags of virDomainBlockJobAbort. */
export const BlockJobAbortFlag = {
  ASYNC: vir.VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC,
  PIVOT: vir.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT,
} as const

/** The words for libvirt's virDomainState, in the order of its numbers. */
export const domainStates = [
  'no state',
  'running',
  'blocked',
  'paused',
  'in shutdown',
  'shut off',
  'crashed',
  'pmsuspended',
] as const

/** One of `domainStates`, virsh's words. */
export type DomainState = (typeof domainStates)[number]
