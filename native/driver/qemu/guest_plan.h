// SPDX-License-Identifier: Apache-2.0
//
// What a pull of a running guest's disk would do: what QEMU would be asked for, what would refuse
// it, and how much it would copy. Nothing is begun. The refusals are those of a start, from the
// same function; one is foreseen here that a start leaves to QEMU's word, a job that another
// program runs on one of the images.
//
// The sizes are counted in the tables of the files, as for a disk that is shut off: without a lock
// and as of the moment; QEMU may hold newer tables in memory, by which less needs copying. That is
// done where the files can be shown to be those that QEMU has open (guest_files.h). Elsewhere (QEMU
// in a container, backing files over the network, formats that only QEMU reads) they are estimated
// by what QEMU tells,
//
//     the least of   the disk's size
//                    what the layers that drop out take on their disks, together
//
// which is too much where layers hide each other, and too little where they are compressed.
//
// Thread rule: plan_of_view looks up names; measure blocks for as long as the tables take to read.

#pragma once

#include <string>
#include <vector>

#include "core/base/walk_watch.h"
#include "driver/pull.h"
#include "driver/qemu/preflight.h"

namespace blockpull::driver::qemu {

/// A pull as QEMU's answers tell of it.
struct GuestPlan {
  StreamPlan stream;
  /// The first is what a start would say.
  std::vector<Error> refusals;
  /// Paths of the layers that drop out and that no other disk of this guest reads.
  std::vector<std::string> released;
};

/// Fails as preflight() does.
[[nodiscard]] Result<GuestPlan> plan_of_view(const GuestView& view, const GuestPullOptions& options,
                                             const FindTrackedJob& find_tracked_job);

/// The plan with its sizes, estimates where the files are not to be read. Takes no lock. Too little
/// space is among the refusals. kCancelled where nobody wants it any more.
[[nodiscard]] Result<PullPlan> measure(const GuestPlan& plan, const WalkWatch& watch);

}  // namespace blockpull::driver::qemu
