// SPDX-License-Identifier: Apache-2.0
//
// The states of a disk in one image: the active one, and one for each internal snapshot. Each has
// an L1 table of its own, and states share L2 tables until a guest's write splits them.
//
//     L1 index            0     1     2
//     0 active          │ A │ B │   │        at 1: table B of state 0, table C of states 1 and 2
//     1 snapshot        │ A │ C │   │        at 2: no table, in states 0, 1 and 2
//     2 snapshot        │ A │ C │   │
//
// A pull must fill all of them: a cluster that a state lacks is read from the backing chain, which
// the pull cuts off.
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include <cstdint>
#include <vector>

#include "core/base/result.h"
#include "core/image/qcow2/l1_table.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::image::qcow2 {

/// The states that have the same L2 table at an L1 index, or none.
struct SharedTable {
  /// In the file; 0: none.
  std::uint64_t offset = 0;
  /// In ascending order; 0 is the active one.
  std::vector<std::size_t> states;

  [[nodiscard]] bool is_active() const { return states.front() == 0; }
};

class DiskStates {
 public:
  /// Only the active state: for an image without snapshots.
  explicit DiskStates(Qcow2Image& image) : image_(&image), l1_{image.l1_table()} {}

  /// All states of an image that a pull can fill. kFeatureUnsupported if a snapshot is of a disk of
  /// another size, or if the refcounts are too narrow. kImageCorrupt if an L1 table is too short.
  [[nodiscard]] static Result<DiskStates> open(Qcow2Image& image);

  [[nodiscard]] std::size_t count() const { return l1_.size(); }
  [[nodiscard]] bool has_snapshots() const { return count() > 1; }
  [[nodiscard]] const L1Table& l1(std::size_t state) const { return l1_[state]; }

  /// The distinct tables at an L1 index of the disk, that of the active state first.
  [[nodiscard]] Result<std::vector<SharedTable>> tables_at(std::uint64_t l1_index) const;

 private:
  Qcow2Image* image_;
  std::vector<L1Table> l1_;
};

}  // namespace blockpull::image::qcow2
