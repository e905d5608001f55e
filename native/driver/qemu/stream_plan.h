// SPDX-License-Identifier: Apache-2.0
//
// What a pull of a running guest's disk asks of QEMU, and what keeps it from being asked.
//
// QEMU does as it is told where it should not (docs/qemu-defects.md has each case, and how to see
// it). Before a job is started, its plan is refused when
//
//     the active image has internal snapshots     they would lose what they have from below
//     it has extended L2, and QEMU is before 8.2  QEMU ends with a failed assertion
//     a base stays, and a layer that drops out    what lies past that layer's end reads as zeroes
//     is shorter than it and the active image     today, and as the base's bytes afterwards
//     a base stays that has no format node        the header would name "file" as its format
//     QEMU has the image open alone, and its      nothing is done, and QEMU calls that completed
//     header states a backing file
//     a copy-on-read filter stands over a layer   QEMU writes to that layer what the stream reads
//     below the active image
//     the active image is a temporary file        it goes away with the guest, and what the guest's
//     (snapshot=on, <transient/>)                 own disk is would be told as released
//
// The name of the base is always given. It is put together from the names that the headers state on
// the way down, as QEMU resolves them, so it means the same file wherever QEMU was started:
//
//     /vms/top ─"sub/mid"─▶ /vms/sub/mid ─"../base"─▶ /vms/sub/../base       "sub/../base"
//
// Pure but for one thing: whether a name leads to a file is asked of the filesystem.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/qmp/commands.h"
#include "core/qmp/message.h"
#include "driver/pull.h"
#include "driver/qemu/block_graph.h"
#include "driver/qemu/find_disk.h"
#include "driver/qemu/job_plan.h"

namespace blockpull::driver::qemu {

struct GuestPullOptions {
  DiskName disk;
  std::optional<BaseChoice> base;
  /// Refuse when the base could not be stated relative to the active layer.
  bool require_relative = false;
  /// Bytes a second; 0 for no limit.
  std::uint64_t bandwidth = 0;
  OnError on_error = OnError::kReport;
  /// Folders that backing files must lie in; absent: anything that QEMU has open.
  std::optional<std::vector<std::string>> backing_paths = {};
  /// What the caller's other arguments are refused with, where nothing is wrong with the disk.
  std::optional<Error> late_refusal = {};
};

/// Work is there where some layer drops out; then the chain shows whether the job was done. Where
/// none does, a read of what the image lacks would end a stream (docs/qemu-defects.md).
struct StreamPlan : JobPlan {
  /// The chain before the pull, top first; empty where QEMU's devices no longer show the disk.
  std::vector<BlockNode> layers;
  /// Index of the layer that stays, layers.size() when none does.
  std::size_t base_index = 0;
  std::optional<std::string> base_node;
  std::optional<std::string> backing_file;
  std::optional<KeptLayer> base;
  OnError on_error = OnError::kReport;
};

/// Whether QEMU has open below that image what its header states: the file of that name, or none.
[[nodiscard]] bool is_open_as_stated(const BlockGraph& graph, std::size_t node);

/// What would be asked, and why it must not be: kFeatureUnsupported, kUnsupported.
struct JudgedStream {
  StreamPlan plan;
  /// The first is what a start is refused with.
  std::vector<Error> refusals;
};

/// kNoBase.
[[nodiscard]] Result<JudgedStream> plan_stream(const BlockGraph& graph, std::size_t top,
                                               const GuestPullOptions& options,
                                               const qmp::QemuVersion& version);

}  // namespace blockpull::driver::qemu
