// SPDX-License-Identifier: Apache-2.0
//
// Counts references to host clusters in a map, as far as the file and the width of the refcounts
// allow. What they do not allow is a finding.
//
// A reference may reach past the end of the file by less than a cluster, since the last cluster of
// a file may be cut short. One that reaches farther is not counted.

#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "core/image/qcow2/check/findings.h"
#include "core/image/qcow2/header.h"
#include "core/image/qcow2/references.h"

namespace blockpull::image::qcow2 {

/// One place in the file that refers to a part of it.
struct Reference {
  /// The part: [offset, offset + bytes).
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  /// For people: "a data cluster".
  const char* what = "";
  /// Where in the file the reference is stored, in bytes.
  std::uint64_t place = 0;
  /// How many L1 entries lead to the table that it is in.
  std::uint64_t times = 1;
  /// Whether the part ends with a compressed stream, which may be shorter than stated.
  bool is_compressed = false;
  /// Bytes at the end of the part that nobody reads: another program's may lie there.
  std::uint64_t unread_bytes = 0;
  /// The first of them, which are zeros to a guest and may have been data.
  std::uint64_t zeroed_bytes = 0;
};

class ReferenceCounter {
 public:
  /// `file_size`: rounded up to a sector, as QEMU has it.
  ReferenceCounter(const Header& header, std::uint64_t file_size, Findings& findings);

  /// Counts it for every cluster of its part. An error only if the map cannot take it.
  [[nodiscard]] Result<void> add(const Reference& reference);

  [[nodiscard]] ReferenceMap& map() { return map_; }

 private:
  [[nodiscard]] Result<void> add_one(std::uint64_t cluster, const Reference& reference);

  const std::uint32_t cluster_bits_;
  const std::uint64_t file_size_;
  /// The largest refcount that the image can state.
  const std::uint64_t most_;
  Findings& findings_;
  ReferenceMap map_;
};

}  // namespace blockpull::image::qcow2
