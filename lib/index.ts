// SPDX-License-Identifier: Apache-2.0
//
// The package `blockpull`: what it exports, and nothing else.
//
// libvirt's own names and flags are the other entry, `blockpull/libvirt`. Importing this file loads no addon; the
// first call does.

export { Connection, type ConnectionEvents, connect } from './connection.js'
export { Domain, type JobFailure } from './domain.js'
export {
  checkImage,
  compareImages,
  createImage,
  digestImage,
  imageInfo,
  inspectChain,
  plan,
  pullImage,
} from './images.js'
export type { BlockJob } from './job/block-job.js'
export type {
  BlockJobAbortOptions,
  BlockPullOptions,
  BlockRebaseOptions,
  ChainOptions,
  CheckImageOptions,
  CompareImagesOptions,
  ConnectDescription,
  ConnectOptions,
  CreateImageOptions,
  DiskPlanOptions,
  DiskPullOptions,
  DomainDescription,
  ImageInfoOptions,
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
} from './options/option-types.js'
export {
  AbortError,
  BlockPullError,
  type BlockPullErrorDetails,
  type ErrorCode,
  errorCodes,
  type QemuOrigin,
} from './results/errors.js'
export type {
  BitmapInfo,
  BlockJobEvent,
  BlockJobInfo,
  CheckReport,
  Comparison,
  Completion,
  Digest,
  Disk,
  Finding,
  FindingCode,
  ImageInfo,
  Interruption,
  Layer,
  Method,
  Outcome,
  Plan,
  Progress,
  Qcow2Info,
  ReapedJob,
  SnapshotInfo,
  StopCode,
  TrailingBytes,
  WalkProgress,
} from './results/structs.js'
export { shimPath } from './shim.js'
export { BlockJobStatus, BlockJobType, type DomainState, domainStates } from './words/enumerations.js'
