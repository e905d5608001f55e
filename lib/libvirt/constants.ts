// SPDX-License-Identifier: Apache-2.0
//
// libvirt's constants of the block-job family under their C names, with libvirt's numbers.
//
// They are single exports rather than members of an object, so that `import * as virt from 'blockpull/libvirt'`
// reads as C and Python code does. The members that only block commit and block copy use are here too: a
// program that names them must load, and the call that receives them refuses them. `lib/words/enumerations.ts`
// groups those that the idiomatic layer shows. Immutable; error numbers are in `errors.ts`.

// virDomainBlockJobType
export const VIR_DOMAIN_BLOCK_JOB_TYPE_UNKNOWN = 0
export const VIR_DOMAIN_BLOCK_JOB_TYPE_PULL = 1
export const VIR_DOMAIN_BLOCK_JOB_TYPE_COPY = 2
export const VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT = 3
export const VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT = 4
export const VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP = 5

// virConnectDomainEventBlockJobStatus
export const VIR_DOMAIN_BLOCK_JOB_COMPLETED = 0
export const VIR_DOMAIN_BLOCK_JOB_FAILED = 1
export const VIR_DOMAIN_BLOCK_JOB_CANCELED = 2
export const VIR_DOMAIN_BLOCK_JOB_READY = 3

// virDomainBlockJobAbortFlags
export const VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC = 1
export const VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT = 2

// virDomainBlockJobInfoFlags
export const VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES = 1

// virDomainBlockJobSetSpeedFlags
export const VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES = 1

// virDomainBlockPullFlags
export const VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES = 64

// virDomainBlockRebaseFlags
export const VIR_DOMAIN_BLOCK_REBASE_SHALLOW = 1
export const VIR_DOMAIN_BLOCK_REBASE_REUSE_EXT = 2
export const VIR_DOMAIN_BLOCK_REBASE_COPY_RAW = 4
export const VIR_DOMAIN_BLOCK_REBASE_COPY = 8
export const VIR_DOMAIN_BLOCK_REBASE_RELATIVE = 16
export const VIR_DOMAIN_BLOCK_REBASE_COPY_DEV = 32
export const VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES = 64

// virDomainBlockCopyFlags, and the names of its typed parameters
export const VIR_DOMAIN_BLOCK_COPY_SHALLOW = 1
export const VIR_DOMAIN_BLOCK_COPY_REUSE_EXT = 2
export const VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB = 4
export const VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES = 8
export const VIR_DOMAIN_BLOCK_COPY_TARGET_ZEROED = 16
export const VIR_DOMAIN_BLOCK_COPY_BANDWIDTH = 'bandwidth'
export const VIR_DOMAIN_BLOCK_COPY_GRANULARITY = 'granularity'
export const VIR_DOMAIN_BLOCK_COPY_BUF_SIZE = 'buf-size'

// virDomainBlockCommitFlags
export const VIR_DOMAIN_BLOCK_COMMIT_SHALLOW = 1
export const VIR_DOMAIN_BLOCK_COMMIT_DELETE = 2
export const VIR_DOMAIN_BLOCK_COMMIT_ACTIVE = 4
export const VIR_DOMAIN_BLOCK_COMMIT_RELATIVE = 8
export const VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES = 16

// virDomainEventID: the two of block jobs, and the number of events that libvirt 11 knows
export const VIR_DOMAIN_EVENT_ID_BLOCK_JOB = 8
export const VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2 = 16
export const VIR_DOMAIN_EVENT_ID_LAST = 28

// virDomainState
export const VIR_DOMAIN_NOSTATE = 0
export const VIR_DOMAIN_RUNNING = 1
export const VIR_DOMAIN_BLOCKED = 2
export const VIR_DOMAIN_PAUSED = 3
export const VIR_DOMAIN_SHUTDOWN = 4
export const VIR_DOMAIN_SHUTOFF = 5
export const VIR_DOMAIN_CRASHED = 6
export const VIR_DOMAIN_PMSUSPENDED = 7

// virDomainXMLFlags
export const VIR_DOMAIN_XML_SECURE = 1
export const VIR_DOMAIN_XML_INACTIVE = 2
export const VIR_DOMAIN_XML_UPDATE_CPU = 4
export const VIR_DOMAIN_XML_MIGRATABLE = 8

// virConnectListAllDomainsFlags: the two that a connection without a daemon can tell apart
export const VIR_CONNECT_LIST_DOMAINS_ACTIVE = 1
export const VIR_CONNECT_LIST_DOMAINS_INACTIVE = 2
