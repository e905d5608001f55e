// SPDX-License-Identifier: Apache-2.0
//
// The checks of stream_witness.h, called from a host's thread. The tables are walked on threads
// that may block, some ms at a time, and the answer comes back on the host's thread.
//
// Thread rule: the host's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/wanted.h"
#include "driver/qemu/stream_plan.h"
#include "driver/qemu/stream_witness.h"
#include "job/host.h"

namespace blockpull::driver::qemu {

struct ContentSeen {
  /// Why the files cannot be read from here, or ""; the other fields then mean nothing.
  std::string unseen;
  StreamWitness::Lacking lacking;
};

/// Calls `done` once, unless `is_wanted` returns false before, because nobody waits any more.
/// kImageCorrupt if the tables are corrupt.
void check_content(job::Host& host, const StreamPlan& plan, IsWanted is_wanted,
                   std::function<void(Result<ContentSeen>)> done);

/// What the header of the active image must state when the stream is done.
[[nodiscard]] PromisedHeader promise_of(const StreamPlan& plan);

/// Why the header on the disk could not be read, or ""; kJobFailed if it is not what the plan
/// promised.
void check_header(job::Host& host, const StreamPlan& plan,
                  std::function<void(Result<std::string>)> done);

}  // namespace blockpull::driver::qemu
