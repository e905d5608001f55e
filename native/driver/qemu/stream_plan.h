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
//
// The name of the base is always given. It is put together from the names that the headers state on
// the way down, as QEMU resolves them, so it means the same file wherever QEMU was started:
//
//     /vms/top ─"sub/mid"─▶ /vms/sub/mid ─"../base"─▶ /vms/sub/../base       "sub/../base"
//
// Pure functions.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/qmp/commands.h"
#include "core/qmp/message.h"
#include "driver/kept_layer.h"
#include "driver/pull.h"
#include "driver/qemu/block_graph.h"

namespace blockpull::driver {

/// How a caller names a disk of a running guest.
struct DiskName {
  /// Path of the active layer, and the same with symbolic links resolved; both may be empty.
  std::string path;
  std::string canonical_path;
  /// A device, the id of the guest's device, or a node; looked for when `path` is empty.
  std::string name;
};

struct GuestPullOptions {
  DiskName disk;
  std::optional<BaseChoice> base;
  /// Refuse when the base could not be stated relative to the active layer.
  bool require_relative = false;
  /// 0 for no limit.
  std::uint64_t bytes_per_second = 0;
  /// Whether somebody will be there to end the job; if not, QEMU ends it by itself, and what it
  /// copied may be lost with a QEMU that is killed right after.
  bool will_be_followed = true;
  qmp::OnError on_error = qmp::OnError::kReport;
  /// What the caller's other arguments are refused with, where nothing is wrong with the disk.
  std::optional<Error> late_refusal;
};

struct StreamPlan {
  std::string job_id;
  /// The node of the active layer, and what people call its disk.
  std::string node;
  std::string disk_name;
  /// Path of the active layer as QEMU names it.
  std::string path;
  std::uint64_t virtual_size = 0;
  /// Images in the chain before the pull.
  std::size_t depth = 1;
  std::optional<std::string> base_node;
  std::optional<std::string> backing_file;
  std::optional<KeptLayer> base;
  /// QEMU finalizes the job by itself.
  bool auto_finalize = false;
  /// Some layer drops out, so the chain shows whether the job was done.
  bool has_work = true;
  /// Paths of the layers that drop out and that no other disk of this guest reads.
  std::vector<std::string> released;
};

/// The node of that disk's active layer. kNoDisk.
[[nodiscard]] Result<std::size_t> find_disk_node(const BlockGraph& graph, const DiskName& disk);

/// Whether QEMU has open below that image what its header states: the file of that name, or none.
[[nodiscard]] bool is_open_as_stated(const BlockGraph& graph, std::size_t node);

/// What would be asked, and why it must not be: kFeatureUnsupported, kUnsupported.
struct JudgedStream {
  StreamPlan plan;
  /// Index in the chain of the layer that stays, the chain's length when none does.
  std::size_t base = 0;
  /// The first is what a start is refused with.
  std::vector<Error> refusals;
};

/// kNoBase.
[[nodiscard]] Result<JudgedStream> plan_stream(const BlockGraph& graph, std::size_t top,
                                               const GuestPullOptions& options,
                                               const qmp::QemuVersion& version);

}  // namespace blockpull::driver
