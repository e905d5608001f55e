// SPDX-License-Identifier: Apache-2.0
//
// Which guest clusters any state of the disk lacks, so that it reads them from the backing chain.
//
//     guest cluster     0 1 2 3 4 5
//     active            █ █ · · █ ·         █ in the image, also as zeros
//     snapshot          █ · · █ █ ·         · lacking
//     missing           · m m m · m
//
// It reads the tables at one L1 index at a time, each once, and keeps a bit for each cluster. A
// caller therefore goes forward, and links nothing ahead of itself.
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "core/image/qcow2/disk_states.h"

namespace blockpull::image::qcow2 {

class MissingClusters {
 public:
  MissingClusters(Qcow2Image& image, const DiskStates& states) : image_(image), states_(states) {}

  struct Run {
    bool is_missing = false;
    /// Bytes.
    std::uint64_t length = 0;
  };

  /// The run that begins at `offset`, a multiple of the cluster size, and is at most `length` long.
  [[nodiscard]] Result<Run> at(std::uint64_t offset, std::uint64_t length);

 private:
  [[nodiscard]] Result<void> read(std::uint64_t l1_index);
  [[nodiscard]] Result<void> read_table(std::uint64_t offset);

  Qcow2Image& image_;
  const DiskStates& states_;
  std::uint64_t l1_index_ = std::numeric_limits<std::uint64_t>::max();
  /// Of the clusters at `l1_index_`.
  std::vector<bool> missing_;
};

}  // namespace blockpull::image::qcow2
