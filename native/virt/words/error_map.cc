// SPDX-License-Identifier: Apache-2.0
//
// The error table, and libvirt's prefixes, spelled as in libvirt because programs match on them.

#include "virt/words/error_map.h"

#include <array>

#include "core/base/text.h"

namespace blockpull::virt {
namespace {

constexpr auto kQemu = ErrorDomain::kQemu;
constexpr auto kStorage = ErrorDomain::kStorage;

/// In the order of ErrorKind; the assertion below and a test check that.
constexpr std::array kTable{
    Mapping{ErrorKind::kInvalidArgument, "INVALID_ARGUMENT", ErrorCode::kInvalidArg, kQemu},
    Mapping{ErrorKind::kNotFound, "NOT_FOUND", ErrorCode::kSystemError, kStorage},
    Mapping{ErrorKind::kAccessDenied, "ACCESS_DENIED", ErrorCode::kSystemError, kStorage},
    Mapping{ErrorKind::kReadOnly, "READ_ONLY", ErrorCode::kOperationDenied, kStorage},
    Mapping{ErrorKind::kLocked, "LOCKED", ErrorCode::kResourceBusy, kStorage},
    Mapping{ErrorKind::kJobActive, "JOB_ACTIVE", ErrorCode::kOperationUnsupported, kQemu},
    Mapping{ErrorKind::kNoJob, "NO_JOB", ErrorCode::kInvalidArg, kQemu},
    Mapping{ErrorKind::kNoDomain, "NO_DOMAIN", ErrorCode::kNoDomain, kQemu},
    Mapping{ErrorKind::kNoDisk, "NO_DISK", ErrorCode::kInvalidArg, kQemu},
    Mapping{ErrorKind::kNoBase, "NO_BASE", ErrorCode::kInvalidArg, kStorage},
    Mapping{ErrorKind::kNoSpace, "NO_SPACE", ErrorCode::kSystemError, kStorage},
    Mapping{ErrorKind::kIo, "IO", ErrorCode::kSystemError, kStorage},
    Mapping{ErrorKind::kPolicy, "POLICY", ErrorCode::kAccessDenied, kStorage},
    Mapping{ErrorKind::kFormatUnknown, "FORMAT_UNKNOWN", ErrorCode::kConfigUnsupported, kStorage},
    Mapping{ErrorKind::kFeatureUnsupported, "FEATURE_UNSUPPORTED", ErrorCode::kConfigUnsupported,
            kStorage},
    Mapping{ErrorKind::kImageCorrupt, "IMAGE_CORRUPT", ErrorCode::kOperationFailed, kStorage},
    Mapping{ErrorKind::kChainLoop, "CHAIN_LOOP", ErrorCode::kInternalError, kStorage},
    Mapping{ErrorKind::kMonitorBusy, "MONITOR_BUSY", ErrorCode::kResourceBusy, kQemu},
    Mapping{ErrorKind::kMonitorLost, "MONITOR_LOST", ErrorCode::kOperationFailed, kQemu},
    Mapping{ErrorKind::kMonitorTimeout, "MONITOR_TIMEOUT", ErrorCode::kOperationTimeout, kQemu},
    Mapping{ErrorKind::kGuestBusy, "GUEST_BUSY", ErrorCode::kOperationInvalid, kQemu},
    Mapping{ErrorKind::kQemuError, "QEMU_ERROR", ErrorCode::kInternalError, kQemu},
    Mapping{ErrorKind::kOverflow, "OVERFLOW", ErrorCode::kOverflow, kQemu},
    Mapping{ErrorKind::kUnsupported, "UNSUPPORTED", ErrorCode::kOperationUnsupported, kQemu},
    Mapping{ErrorKind::kCancelled, "CANCELLED", ErrorCode::kOperationAborted, kQemu},
    Mapping{ErrorKind::kJobFailed, "JOB_FAILED", ErrorCode::kOperationFailed, kQemu},
    Mapping{ErrorKind::kJobVanished, "JOB_VANISHED", ErrorCode::kOperationFailed, kQemu},
    Mapping{ErrorKind::kClosed, "CLOSED", ErrorCode::kInvalidConn, ErrorDomain::kPublic},
};

constexpr bool is_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (kTable[i].kind != static_cast<ErrorKind>(i)) {
      return false;
    }
  }
  return kTable.back().kind == ErrorKind::kClosed;
}

static_assert(is_in_order());

Failure make_failure(ErrorCode code, ErrorDomain domain, Error error) {
  Failure failure;
  failure.code = code;
  failure.domain = domain;
  failure.error = std::move(error);
  return failure;
}

}  // namespace

const Mapping& mapping_of(ErrorKind kind) {
  return kTable[static_cast<std::size_t>(kind)];
}

std::string_view prefix_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInternalError:
      return "internal error: ";
    case ErrorCode::kNoSupport:
      return "this function is not supported by the connection driver: ";
    case ErrorCode::kNoConnect:
      return "no connection driver available for ";
    case ErrorCode::kInvalidConn:
      return "invalid connection pointer in ";
    case ErrorCode::kInvalidDomain:
      return "invalid domain pointer in ";
    case ErrorCode::kInvalidArg:
      return "invalid argument: ";
    case ErrorCode::kOperationFailed:
      return "operation failed: ";
    case ErrorCode::kXmlError:
      return "XML error: ";
    case ErrorCode::kOperationDenied:
      return "operation forbidden: ";
    case ErrorCode::kSystemError:
      return "";
    case ErrorCode::kNoDomain:
      return "Domain not found: ";
    case ErrorCode::kOperationInvalid:
      return "Requested operation is not valid: ";
    case ErrorCode::kConfigUnsupported:
      return "unsupported configuration: ";
    case ErrorCode::kOperationTimeout:
      return "Timed out during operation: ";
    case ErrorCode::kOperationAborted:
      return "operation aborted: ";
    case ErrorCode::kOverflow:
      return "numerical overflow: ";
    case ErrorCode::kBlockCopyActive:
      return "block copy still active: ";
    case ErrorCode::kOperationUnsupported:
      return "Operation not supported: ";
    case ErrorCode::kResourceBusy:
      return "resource busy: ";
    case ErrorCode::kAccessDenied:
      return "access denied: ";
  }
  return "";
}

Failure report(ErrorKind kind, ErrorCode code, ErrorDomain domain, std::string_view detail) {
  return make_failure(code, domain, make_error(kind, text(prefix_of(code), detail)));
}

Failure report(ErrorKind kind, std::string_view detail) {
  const Mapping& mapping = mapping_of(kind);
  return report(kind, mapping.code, mapping.domain, detail);
}

Failure argument_check(ErrorDomain domain, Argument argument, std::string message) {
  Failure failure = make_failure(ErrorCode::kInvalidArg, domain,
                                 make_error(ErrorKind::kInvalidArgument, std::move(message)));
  failure.argument = std::move(argument);
  return failure;
}

Failure reported(Error error) {
  const Mapping& mapping = mapping_of(error.kind);
  error.message = text(prefix_of(mapping.code), error.message);
  return make_failure(mapping.code, mapping.domain, std::move(error));
}

Failure plain(Error error) {
  const Mapping& mapping = mapping_of(error.kind);
  return make_failure(mapping.code, mapping.domain, std::move(error));
}

}  // namespace blockpull::virt
