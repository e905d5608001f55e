// SPDX-License-Identifier: Apache-2.0
//
// What a pull of a running guest's disk asks of QEMU, and the reasons not to ask.
//
// QEMU accepts requests that it should refuse (docs/qemu-defects.md has each case, and how to see
// it). Before a job is started, its plan is refused if
//
//     the active image has internal snapshots     they would lose what they have from below
//     it has extended L2, and QEMU is before 8.2  QEMU ends with a failed assertion
//     a base stays, and a layer that drops out    what lies past that layer's end reads as zeroes
//     is shorter than it and the active image     today, and as the base's bytes afterwards
//     a base stays that has no format node        the header would name "file" as its format
//     QEMU has the image open alone, and its      nothing is done, and QEMU reports success
//     header states a backing file
//     a copy-on-read filter stands over a layer   QEMU writes to that layer what the stream reads
//     below the active image
//     the active image is a temporary file        it goes away with the guest, and the guest's own
//     (snapshot=on, <transient/>)                 disk would be reported as released
//
// The name of the base is always given. It is combined from the names that the headers on the way
// down state, as QEMU resolves them. So it means the same file wherever QEMU was started:
//
//     /vms/top ─"sub/mid"─▶ /vms/sub/mid ─"../base"─▶ /vms/sub/../base       "sub/../base"
//
// Pure but for one thing: the filesystem decides whether a name leads to a file.

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
  /// Refuse if the base cannot be named relative to the active layer.
  bool require_relative = false;
  /// Bytes a second; 0 for no limit.
  std::uint64_t bandwidth = 0;
  OnError on_error = OnError::kReport;
  /// Folders that backing files must lie in; absent: any file that QEMU has open.
  std::optional<std::vector<std::string>> backing_paths = {};
  /// The refusal of the caller's other arguments, if nothing is wrong with the disk.
  std::optional<Error> late_refusal = {};
};

/// There is work if a layer drops out; the chain then shows whether the job was done. Without work
/// no stream is started, since a read of data that the image lacks would end it
/// (docs/qemu-defects.md).
struct StreamPlan : JobPlan {
  /// The chain before the pull, top first; empty if QEMU's devices no longer show the disk.
  std::vector<BlockNode> layers;
  /// Index of the layer that stays, or layers.size() if none does.
  std::size_t base_index = 0;
  std::optional<std::string> base_node;
  std::optional<std::string> backing_file;
  std::optional<KeptLayer> base;
  OnError on_error = OnError::kReport;
};

/// Whether QEMU has opened below that image what its header states: the file with that name, or
/// none.
[[nodiscard]] bool is_open_as_stated(const BlockGraph& graph, std::size_t node);

/// What would be requested, and why it must not be: kFeatureUnsupported, kUnsupported.
struct JudgedStream {
  StreamPlan plan;
  /// A start fails with the first.
  std::vector<Error> refusals;
};

/// kNoBase.
[[nodiscard]] Result<JudgedStream> plan_stream(const BlockGraph& graph, std::size_t top,
                                               const GuestPullOptions& options,
                                               const qmp::QemuVersion& version);

}  // namespace blockpull::driver::qemu
