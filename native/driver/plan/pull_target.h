// SPDX-License-Identifier: Apache-2.0
//
// What a pull works on: a chain, and where it is cut.
//
//     layers[0]   the active image, which is written
//     layers[1]   ┐ intermediate: their bytes move into the active image,
//     …           ┘ and afterwards nothing refers to them any more
//     layers[base] …   stay, read-only before and after; none in a full pull

#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/image/chain.h"
#include "core/image/qcow2/disk_states.h"
#include "driver/plan/layer_watch.h"
#include "driver/plan/trailing_policy.h"

namespace blockpull::driver {

struct PullTarget {
  image::Chain chain;
  /// The active image's name, absolute where possible, since the working directory may change while
  /// a job runs.
  std::string absolute_path;
  /// Index of the layer that stays, or chain.layers.size() if none does.
  std::size_t base = 0;
  /// Watches the layers of `chain` that are not written.
  LayerWatch layer_watch;
  /// The backing file that the header will state; absent if none stays.
  std::optional<image::BackingReference> new_backing;
  /// The states of the disk in the active image that the pull fills; absent: not opened yet, or a
  /// pull by QEMU, which fills the active one alone.
  std::optional<image::qcow2::DiskStates> states;
  /// What to do with bytes behind the active image in its file.
  TrailingPolicy trailing = TrailingPolicy::kRefuse;
  /// False if there is nothing to pull: no backing file, or the base is the immediate one. The
  /// active image may then be raw.
  bool has_work = false;

  /// For a PullPlanner.
  [[nodiscard]] const image::qcow2::DiskStates* filled() const {
    return states ? &*states : nullptr;
  }

  [[nodiscard]] bool keeps_base() const { return base < chain.layers.size(); }
  [[nodiscard]] image::Qcow2Image& active() const { return *chain.active_qcow2(); }

  /// Whether a table entry can state zeros that hide a base, so they need not be written.
  [[nodiscard]] bool can_write_zero_clusters() const { return active().header().version >= 3; }

  /// Opens the active image's file again by its name. kIo if the name leads to another file.
  std::function<Result<std::unique_ptr<io::File>>()> open_anew;

  /// Paths of the intermediate layers, top first.
  [[nodiscard]] std::vector<std::string> intermediate_paths() const;

  /// kLocked if the active image's name now leads to another file, kNotFound if to none: a program
  /// that opens the name would not see the pull. kLocked also if somebody else changed the file's
  /// length.
  [[nodiscard]] Result<void> check_in_place() const;

  /// Reads the active image's header again from the disk. kIo if it does not state what the pull
  /// promised. Otherwise an empty string, or a warning if the file cannot be read from here.
  [[nodiscard]] Result<std::string> read_back() const;
};

}  // namespace blockpull::driver
