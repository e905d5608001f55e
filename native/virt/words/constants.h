// SPDX-License-Identifier: Apache-2.0
//
// libvirt's numbers, as far as this family of calls uses them: flags, job types, event statuses,
// domain states, error codes and error domains. Programs compiled against libvirt.h rely on them.
// Values that do not follow from their neighbours are therefore asserted below. Names are libvirt's
// without the VIR_ prefixes. Immutable.

#pragma once

#include <cstdint>

namespace blockpull::virt {

enum class BlockJobType : int {
  kUnknown = 0,
  kPull = 1,
  kCopy = 2,
  kCommit = 3,
  kActiveCommit = 4,
  kBackup = 5,
};

enum class BlockJobStatus : int { kCompleted = 0, kFailed = 1, kCanceled = 2, kReady = 3 };

enum class DomainState : int {
  kNoState = 0,
  kRunning = 1,
  kBlocked = 2,
  kPaused = 3,
  kShutdown = 4,
  kShutoff = 5,
  kCrashed = 6,
  kSuspended = 7,
};

/// Flags are plain numbers: they are combined, and unknown bits must be kept until they are
/// refused.
using Flags = std::uint32_t;

namespace flag {

inline constexpr Flags kJobAbortAsync = 1U << 0U;
inline constexpr Flags kJobAbortPivot = 1U << 1U;
inline constexpr Flags kJobInfoBandwidthBytes = 1U << 0U;
inline constexpr Flags kJobSpeedBandwidthBytes = 1U << 0U;
inline constexpr Flags kPullBandwidthBytes = 1U << 6U;
inline constexpr Flags kRebaseShallow = 1U << 0U;
inline constexpr Flags kRebaseReuseExt = 1U << 1U;
inline constexpr Flags kRebaseCopyRaw = 1U << 2U;
inline constexpr Flags kRebaseCopy = 1U << 3U;
inline constexpr Flags kRebaseRelative = 1U << 4U;
inline constexpr Flags kRebaseCopyDev = 1U << 5U;
inline constexpr Flags kRebaseBandwidthBytes = 1U << 6U;

// virDomainXMLFlags.
inline constexpr Flags kXmlSecure = 1U << 0U;
inline constexpr Flags kXmlInactive = 1U << 1U;
inline constexpr Flags kXmlUpdateCpu = 1U << 2U;
inline constexpr Flags kXmlMigratable = 1U << 3U;

// virConnectListAllDomainsFlags: the two that are supported.
inline constexpr Flags kListActive = 1U << 0U;
inline constexpr Flags kListInactive = 1U << 1U;

static_assert(kJobAbortAsync == 1 && kJobAbortPivot == 2);
static_assert(kPullBandwidthBytes == 64 && kRebaseBandwidthBytes == 64);
static_assert(kRebaseCopy == 8 && kRebaseRelative == 16 && kRebaseCopyDev == 32);

}  // namespace flag

/// virDomainEventID: the two events of block jobs, and the number of events that libvirt 11 has.
namespace event_id {

inline constexpr int kBlockJob = 8;
inline constexpr int kBlockJob2 = 16;
inline constexpr int kLast = 28;

}  // namespace event_id

/// virErrorNumber.
enum class ErrorCode : int {
  kInternalError = 1,
  kNoSupport = 3,
  kNoConnect = 5,
  kInvalidConn = 6,
  kInvalidDomain = 7,
  kInvalidArg = 8,
  kOperationFailed = 9,
  kXmlError = 27,
  kOperationDenied = 29,
  kSystemError = 38,
  kNoDomain = 42,
  kOperationInvalid = 55,
  kConfigUnsupported = 67,
  kOperationTimeout = 68,
  kOperationAborted = 78,
  kOverflow = 82,
  kBlockCopyActive = 83,
  kOperationUnsupported = 84,
  kResourceBusy = 87,
  kAccessDenied = 88,
};

static_assert(static_cast<int>(ErrorCode::kOverflow) == 82);
static_assert(static_cast<int>(ErrorCode::kOperationUnsupported) == 84);

/// virErrorDomain: who found the error. kPublic (libvirt's VIR_FROM_DOMAIN) stands for the public
/// entry points.
enum class ErrorDomain : int {
  kNone = 0,
  kDom = 6,
  kQemu = 10,
  kStorage = 18,
  kPublic = 20,
  kUri = 45,
};

static_assert(static_cast<int>(ErrorDomain::kPublic) == 20);

/// virErrorLevel: VIR_ERR_ERROR, the level of every error here.
inline constexpr int kErrorLevel = 2;

}  // namespace blockpull::virt
