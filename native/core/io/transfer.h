// SPDX-License-Identifier: Apache-2.0
//
// Chooses the descriptor for a request and interprets its result; used by both queues.
//
// O_DIRECT needs alignment. A *write* also needs whole pages. Metadata goes through the page cache;
// if a direct write shares a page with a dirty one, the kernel drops one of them or complains.

#pragma once

#include <cstdint>

#include <sys/types.h>

#include "core/io/request.h"

namespace blockpull::io {

/// The descriptor for the rest of `request`, or -1 for a file that the kernel does not know.
[[nodiscard]] int descriptor_for(const Request& request, const KernelFile& file);

/// Resets the state that an earlier use of the request left.
inline void begin_transfer(Request& request) {
  request.transferred = 0;
  request.direct_refused = false;
}

/// Whether the request may have failed only because of O_DIRECT. If so, it continues without it.
[[nodiscard]] bool retry_without_direct(Request& request, const KernelFile& file, int error_number);

enum class TransferState : std::uint8_t { kWhole, kContinue, kFailed };

/// Applies the result of one read or write call (bytes, or a negative errno). A read that meets the
/// end of the file is filled up with zeros. It fails if the file had bytes there when it was
/// opened: the zeros would be data that nobody wrote.
[[nodiscard]] TransferState account(Request& request, ssize_t result);

/// Does the rest of the request on this thread, by pread and pwrite. Blocks.
[[nodiscard]] Result<void> transfer_now(Request& request);

/// The error of a request that failed with `error_number`, 0 if no call failed.
[[nodiscard]] Error transfer_error(const Request& request, int error_number);

}  // namespace blockpull::io
