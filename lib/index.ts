// SPDX-License-Identifier: Apache-2.0
//
// The package `blockpull`: what it exports, and nothing else.
//
// libvirt's own names and flags are the other entry, `blockpull/libvirt`. Importing this file loads no addon; the
// first call does.

export type { BlockJob } from './block-job.js'
export { Connection, type ConnectionEvents, connect } from './connection.js'
export { Domain, type JobFailure } from './domain.js'
export { BlockJobStatus, BlockJobType, type DomainState, domainStates } from './enumerations.js'
export { AbortError, BlockPullError, type BlockPullErrorDetails, type ErrorCode, errorCodes } from './errors.js'
export { createImage, digestImage, inspectChain, plan, pullImage } from './images.js'
export type {
  BlockJobAbortOptions,
  BlockPullOptions,
  BlockRebaseOptions,
  ConnectDescription,
  ConnectOptions,
  CreateImageOptions,
  DiskPlanOptions,
  DiskPullOptions,
  DomainDescription,
  ImageOptions,
  ImagePullOptions,
  ImageWalkOptions,
  Limit,
  MonitorTimeouts,
  PathLike,
  PlanOptions,
  PullImageOptions,
  ReadDataOptions,
  SizeOptions,
  StartOptions,
  TrailingOptions,
  WalkOptions,
} from './option-types.js'
export type {
  BlockJobEvent,
  BlockJobInfo,
  Completion,
  Digest,
  Disk,
  Interruption,
  Layer,
  Method,
  Outcome,
  Plan,
  Progress,
  ReapedJob,
  StopCode,
  TrailingBytes,
  WalkProgress,
} from './structs.js'
