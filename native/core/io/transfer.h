// SPDX-License-Identifier: Apache-2.0
//
// Which descriptor carries a request, and what its result means; shared by both queues.
//
// O_DIRECT needs alignment. A *write* needs whole pages besides: metadata goes through the page
// cache, and a direct write that shares a page with a dirty one makes the kernel drop or complain
// about either.

#pragma once

#include <cstdint>

#include <sys/types.h>

#include "core/io/request.h"

namespace blockpull::io {

/// The descriptor for the rest of `request`, or -1 for a file that the kernel does not know.
[[nodiscard]] int descriptor_for(const Request& request, const KernelFile& file);

/// Forgets what an earlier use of the request left in it.
inline void begin_transfer(Request& request) {
  request.transferred = 0;
  request.direct_refused = false;
}

/// Whether O_DIRECT alone may be why the request failed; from now on it goes without.
[[nodiscard]] bool retry_without_direct(Request& request, const KernelFile& file, int error_number);

enum class TransferState : std::uint8_t { kWhole, kContinue, kFailed };

/// Takes the result of one read or write call (bytes, or a negative errno) into account. A read
/// that hits the end of the file is filled up with zeros; one that hits an end where the file had
/// bytes when it was opened has failed: they would be zeros that nobody wrote.
[[nodiscard]] TransferState account(Request& request, ssize_t result);

/// Carries out what is left of the request on this thread, by pread and pwrite. Blocks.
[[nodiscard]] Result<void> transfer_now(Request& request);

/// The error of a request that failed with `error_number`, 0 when no call failed.
[[nodiscard]] Error transfer_error(const Request& request, int error_number);

}  // namespace blockpull::io
