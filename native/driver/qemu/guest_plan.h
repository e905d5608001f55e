// SPDX-License-Identifier: Apache-2.0
//
// What a pull of a running guest's disk would do: which job QEMU would be asked for, what would
// refuse it, and how much it would copy. Nothing is started. The refusals are those of a start,
// from the same function. One more is foreseen here, which a start leaves to QEMU: a job of another
// program on one of the images.
//
// The sizes are counted in the tables of the files, as for a shut-off disk: without a lock, and as
// of that moment. QEMU may hold newer tables in memory, and then less needs copying. Counting works
// only if the files are known to be those that QEMU has open (guest_files.h). It does not for a
// QEMU in a container, backing files over the network, and formats that only QEMU reads. Then the
// sizes are estimated from QEMU's answers,
//
//     the least of   the disk's size
//                    what the layers that drop out take on their disks, together
//
// which is too much if layers hide each other, and too little if they are compressed.
//
// Thread rule: plan_of_view looks up names; measure blocks for as long as the tables take to read.

#pragma once

#include <string>
#include <vector>

#include "core/base/walk_watch.h"
#include "driver/pull.h"
#include "driver/qemu/preflight.h"

namespace blockpull::driver::qemu {

/// A pull, planned from QEMU's answers.
struct GuestPlan {
  StreamPlan stream;
  /// The first is the error of a start.
  std::vector<Error> refusals;
  /// Paths of the layers that drop out and that no other disk of this guest reads.
  std::vector<std::string> released;
};

/// Fails as preflight() does.
[[nodiscard]] Result<GuestPlan> plan_of_view(const GuestView& view, const GuestPullOptions& options,
                                             const FindTrackedJob& find_tracked_job);

/// The plan with its sizes, which are estimates if the files cannot be read. Takes no lock. Too
/// little space is among the refusals. kCancelled if nobody wants the result any more.
[[nodiscard]] Result<PullPlan> measure(const GuestPlan& plan, const WalkWatch& watch);

}  // namespace blockpull::driver::qemu
