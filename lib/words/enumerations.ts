// SPDX-License-Identifier: Apache-2.0
//
// libvirt's enumerations of the block-job family, grouped, for the idiomatic layer.
//
// Events and job info carry libvirt's numbers; these objects name them: `event.status === BlockJobStatus.FAILED`.
// Flags are not here: a program that passes flags uses `blockpull/libvirt`, where every constant has its C name. The
// numbers themselves are written once, in `lib/libvirt/constants.ts`.

import * as vir from '../libvirt/constants.js'

/** What a block job does (virDomainBlockJobType). */
export const BlockJobType = {
  UNKNOWN: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_UNKNOWN,
  PULL: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL,
  COPY: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY,
  COMMIT: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT,
  ACTIVE_COMMIT: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT,
  BACKUP: vir.VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP,
} as const

/** How a block job ended or changed (virConnectDomainEventBlockJobStatus). */
export const BlockJobStatus = {
  COMPLETED: vir.VIR_DOMAIN_BLOCK_JOB_COMPLETED,
  FAILED: vir.VIR_DOMAIN_BLOCK_JOB_FAILED,
  CANCELED: vir.VIR_DOMAIN_BLOCK_JOB_CANCELED,
  READY: vir.VIR_DOMAIN_BLOCK_JOB_READY,
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
