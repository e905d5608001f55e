// SPDX-License-Identifier: Apache-2.0
//
// The sizes and numbers that programs are compiled with. Compiled twice: as C against libvirt's
// headers, and as C++ against ours; both print the same lines.

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
#include "capi/abi.h"
#include "virt/words/constants.h"
namespace virt = blockpull::virt;
#define NUMBER(theirs, ours) print_number(#theirs, (long)(virt::ours))
#else
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#define NUMBER(theirs, ours) print_number(#theirs, (long)(theirs))
#endif

// The handles in virError are deprecated, and there.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define SIZE(type) print_number(#type, (long)sizeof(type))
#define PLACE(type, field) print_number(#type "." #field, (long)offsetof(type, field))

static void print_number(const char* name, long value) {
  printf("%s %ld\n", name, value);
}

static void print_layouts(void) {
  SIZE(virError);
  PLACE(virError, code);
  PLACE(virError, domain);
  PLACE(virError, message);
  PLACE(virError, level);
  PLACE(virError, conn);
  PLACE(virError, dom);
  PLACE(virError, str1);
  PLACE(virError, str2);
  PLACE(virError, str3);
  PLACE(virError, int1);
  PLACE(virError, int2);
  PLACE(virError, net);
  SIZE(virDomainBlockJobInfo);
  PLACE(virDomainBlockJobInfo, type);
  PLACE(virDomainBlockJobInfo, bandwidth);
  PLACE(virDomainBlockJobInfo, cur);
  PLACE(virDomainBlockJobInfo, end);
  SIZE(virConnectAuth);
  PLACE(virConnectAuth, credtype);
  PLACE(virConnectAuth, ncredtype);
  PLACE(virConnectAuth, cb);
  PLACE(virConnectAuth, cbdata);
}

static void print_enums(void) {
  NUMBER(VIR_DOMAIN_BLOCK_JOB_TYPE_PULL, BlockJobType::kPull);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_TYPE_COPY, BlockJobType::kCopy);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT, BlockJobType::kCommit);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT, BlockJobType::kActiveCommit);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP, BlockJobType::kBackup);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_COMPLETED, BlockJobStatus::kCompleted);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_FAILED, BlockJobStatus::kFailed);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_CANCELED, BlockJobStatus::kCanceled);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_READY, BlockJobStatus::kReady);
  NUMBER(VIR_DOMAIN_RUNNING, DomainState::kRunning);
  NUMBER(VIR_DOMAIN_SHUTOFF, DomainState::kShutoff);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC, flag::kJobAbortAsync);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT, flag::kJobAbortPivot);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES, flag::kJobInfoBandwidthBytes);
  NUMBER(VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES, flag::kJobSpeedBandwidthBytes);
  NUMBER(VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES, flag::kPullBandwidthBytes);
  NUMBER(VIR_DOMAIN_BLOCK_REBASE_SHALLOW, flag::kRebaseShallow);
  NUMBER(VIR_DOMAIN_BLOCK_REBASE_REUSE_EXT, flag::kRebaseReuseExt);
  NUMBER(VIR_DOMAIN_BLOCK_REBASE_COPY_RAW, flag::kRebaseCopyRaw);
  NUMBER(VIR_DOMAIN_BLOCK_REBASE_COPY, flag::kRebaseCopy);
  NUMBER(VIR_DOMAIN_BLOCK_REBASE_RELATIVE, flag::kRebaseRelative);
  NUMBER(VIR_DOMAIN_BLOCK_REBASE_COPY_DEV, flag::kRebaseCopyDev);
  NUMBER(VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES, flag::kRebaseBandwidthBytes);
}

static void print_errors(void) {
  NUMBER(VIR_ERR_INTERNAL_ERROR, ErrorCode::kInternalError);
  NUMBER(VIR_ERR_NO_SUPPORT, ErrorCode::kNoSupport);
  NUMBER(VIR_ERR_NO_CONNECT, ErrorCode::kNoConnect);
  NUMBER(VIR_ERR_INVALID_CONN, ErrorCode::kInvalidConn);
  NUMBER(VIR_ERR_INVALID_DOMAIN, ErrorCode::kInvalidDomain);
  NUMBER(VIR_ERR_INVALID_ARG, ErrorCode::kInvalidArg);
  NUMBER(VIR_ERR_OPERATION_FAILED, ErrorCode::kOperationFailed);
  NUMBER(VIR_ERR_XML_ERROR, ErrorCode::kXmlError);
  NUMBER(VIR_ERR_OPERATION_DENIED, ErrorCode::kOperationDenied);
  NUMBER(VIR_ERR_SYSTEM_ERROR, ErrorCode::kSystemError);
  NUMBER(VIR_ERR_NO_DOMAIN, ErrorCode::kNoDomain);
  NUMBER(VIR_ERR_OPERATION_INVALID, ErrorCode::kOperationInvalid);
  NUMBER(VIR_ERR_CONFIG_UNSUPPORTED, ErrorCode::kConfigUnsupported);
  NUMBER(VIR_ERR_OPERATION_TIMEOUT, ErrorCode::kOperationTimeout);
  NUMBER(VIR_ERR_OPERATION_ABORTED, ErrorCode::kOperationAborted);
  NUMBER(VIR_ERR_OVERFLOW, ErrorCode::kOverflow);
  NUMBER(VIR_ERR_BLOCK_COPY_ACTIVE, ErrorCode::kBlockCopyActive);
  NUMBER(VIR_ERR_OPERATION_UNSUPPORTED, ErrorCode::kOperationUnsupported);
  NUMBER(VIR_ERR_RESOURCE_BUSY, ErrorCode::kResourceBusy);
  NUMBER(VIR_ERR_ACCESS_DENIED, ErrorCode::kAccessDenied);
  NUMBER(VIR_FROM_NONE, ErrorDomain::kNone);
  NUMBER(VIR_FROM_DOM, ErrorDomain::kDom);
  NUMBER(VIR_FROM_QEMU, ErrorDomain::kQemu);
  NUMBER(VIR_FROM_STORAGE, ErrorDomain::kStorage);
  NUMBER(VIR_FROM_DOMAIN, ErrorDomain::kPublic);
  NUMBER(VIR_FROM_URI, ErrorDomain::kUri);
  NUMBER(VIR_ERR_ERROR, kErrorLevel);
  NUMBER(VIR_DOMAIN_XML_SECURE, flag::kXmlSecure);
  NUMBER(VIR_DOMAIN_XML_INACTIVE, flag::kXmlInactive);
  NUMBER(VIR_DOMAIN_XML_UPDATE_CPU, flag::kXmlUpdateCpu);
  NUMBER(VIR_DOMAIN_XML_MIGRATABLE, flag::kXmlMigratable);
  NUMBER(VIR_CONNECT_LIST_DOMAINS_ACTIVE, flag::kListActive);
  NUMBER(VIR_CONNECT_LIST_DOMAINS_INACTIVE, flag::kListInactive);
  NUMBER(VIR_DOMAIN_EVENT_ID_BLOCK_JOB, event_id::kBlockJob);
  NUMBER(VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, event_id::kBlockJob2);
}

int main(void) {
  print_layouts();
  print_enums();
  print_errors();
  return 0;
}
