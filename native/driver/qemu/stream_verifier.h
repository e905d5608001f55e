// SPDX-License-Identifier: Apache-2.0
//
// The questions of stream_witness.h, asked from a host's thread: the tables are walked on threads
// that may block, some ms at a time, and the answer comes back on the host's.
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
  /// Why the files cannot be read from here, or ""; the rest means nothing then.
  std::string unseen;
  StreamWitness::Lacking lacking;
};

/// Calls `done` once, unless `is_wanted` says meanwhile that nobody waits for it any more.
/// kImageCorrupt where the tables cannot be true.
void check_content(job::Host& host, const StreamPlan& plan, IsWanted is_wanted,
                   std::function<void(Result<ContentSeen>)> done);

/// What the header of the active image states once the stream is done.
[[nodiscard]] PromisedHeader promise_of(const StreamPlan& plan);

/// Why the header on the disk could not be read, or ""; kJobFailed where it is not what the plan
/// promised.
void check_header(job::Host& host, const StreamPlan& plan,
                  std::function<void(Result<std::string>)> done);

}  // namespace blockpull::driver::qemu
