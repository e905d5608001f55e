// SPDX-License-Identifier: Apache-2.0
//
// Counts references to host clusters in a map, as far as the file and the width of the refcounts
// allow. What they do not allow is a finding.
//
// A reference may reach past the end of the file by less than a cluster, since the last cluster of
// a file may be cut short. One that reaches farther is not counted.

#pragma once

#include <cstdint>
#include <limits>

#include "core/base/checked.h"
#include "core/base/text.h"
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
  /// Where the reference is.
  std::uint64_t place = 0;
  /// How many there are, if several tables share the place.
  std::uint64_t times = 1;
  /// Whether the part ends with a compressed stream, which may be shorter than stated.
  bool is_compressed = false;
};

class Counter {
 public:
  Counter(const Header& header, std::uint64_t file_size, Findings& findings)
      : cluster_bits_(header.cluster_bits),
        file_size_(file_size),
        most_(largest_refcount(header)),
        findings_(findings) {}

  /// Counts it for every cluster of its part. An error only if the map cannot take it.
  [[nodiscard]] Result<void> add(const Reference& reference) {
    if (reference.bytes == 0) {
      return {};
    }
    const std::uint64_t cluster_size = std::uint64_t{1} << cluster_bits_;
    if (!fits(reference.offset, reference.bytes, file_size_ + cluster_size - 1)) {
      findings_.add(FindingKind::kReferenceOutside, reference.place, reference.times, [&] {
        return text(reference.what, " is stated to be at ", Hex{reference.offset},
                    "; the file ends at ", Hex{file_size_});
      });
      return {};
    }
    if (!reference.is_compressed) {
      map_.note_plain_end(reference.offset + reference.bytes);
    }
    const std::uint64_t first = reference.offset >> cluster_bits_;
    const std::uint64_t last = (reference.offset + reference.bytes - 1) >> cluster_bits_;
    for (std::uint64_t cluster = first; cluster <= last; ++cluster) {
      BLOCKPULL_CHECK(add_one(cluster, reference));
    }
    return {};
  }

  [[nodiscard]] ReferenceMap& map() { return map_; }

 private:
  [[nodiscard]] static std::uint64_t largest_refcount(const Header& header) {
    const std::uint64_t half = std::uint64_t{1} << (header.refcount_bits() - 1);
    return half + (half - 1);
  }

  Result<void> add_one(std::uint64_t cluster, const Reference& reference) {
    const std::uint64_t times = reference.times;
    if (times == 1 && map_.try_mark(cluster)) {
      return {};
    }
    const std::uint64_t room = most_ - map_.count(cluster);
    const std::uint64_t fitting = times < room ? times : room;
    findings_.add(FindingKind::kReferencesTooMany, reference.place, times - fitting, [&] {
      return text(reference.what, " is in cluster ", cluster,
                  ", which has more references than a refcount ", "can state (", most_, ")");
    });
    return fitting == 0 ? Result<void>() : map_.add(cluster, fitting, reference.what);
  }

  const std::uint32_t cluster_bits_;
  const std::uint64_t file_size_;
  const std::uint64_t most_;
  Findings& findings_;
  ReferenceMap map_;
};

}  // namespace blockpull::image::qcow2
