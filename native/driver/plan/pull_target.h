// SPDX-License-Identifier: Apache-2.0
//
// What a pull is about: a chain, and where it is to be cut.
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
#include "core/image/qcow2/qcow2_image.h"
#include "driver/plan/layer_watch.h"
#include "driver/plan/trailing_policy.h"

namespace blockpull::driver {

struct PullTarget {
  image::Chain chain;
  /// The active image's name, absolute where possible: the working directory may change while a job
  /// runs.
  std::string absolute_path;
  /// Index of the layer that stays, chain.layers.size() when none does.
  std::size_t base = 0;
  /// Over the layers of `chain` that are not written.
  LayerWatch layer_watch;
  /// What the header will state; absent when no backing file stays.
  std::optional<image::BackingReference> new_backing;
  /// For what lies behind the active image in its file.
  TrailingPolicy trailing = TrailingPolicy::kRefuse;
  /// False for a pull that has nothing to do: no backing file, or the base is the immediate one.
  /// The active image may be raw then.
  bool has_work = false;

  [[nodiscard]] bool keeps_base() const { return base < chain.layers.size(); }
  [[nodiscard]] image::Qcow2Image& active() const { return *chain.active_qcow2(); }

  /// Whether zeros that hide a base can be stated in a table instead of being written.
  [[nodiscard]] bool can_write_zero_clusters() const { return active().header().version >= 3; }

  /// Opens the active image's file once more, by its name; kIo where that leads to another file.
  std::function<Result<std::unique_ptr<io::File>>()> open_anew;

  /// Paths of the intermediate layers, the upper one first.
  [[nodiscard]] std::vector<std::string> intermediate_paths() const;

  /// kLocked when the active image's name leads to another file by now, kNotFound when to none: who
  /// asks by that name would not see the pull. kLocked also when somebody else changed its length.
  [[nodiscard]] Result<void> check_in_place() const;

  /// Reads the active image's header anew. kIo when it does not state what the pull has promised;
  /// a sentence when it cannot be looked at from here, and an empty one otherwise.
  [[nodiscard]] Result<std::string> read_back() const;
};

}  // namespace blockpull::driver
