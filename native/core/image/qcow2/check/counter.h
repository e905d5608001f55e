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

class Counter {
 public:
  Counter(const Header& header, std::uint64_t file_size, Findings& findings)
      : cluster_bits_(header.cluster_bits),
        file_size_(file_size),
        most_(largest_refcount(header)),
        findings_(findings) {}

  /// `times` references to every cluster of [offset, offset + bytes). `what` for people: "a data
  /// cluster". An error only if the map cannot take it.
  [[nodiscard]] Result<void> add(std::uint64_t offset, std::uint64_t bytes, std::uint64_t times,
                                 const char* what) {
    if (bytes == 0) {
      return {};
    }
    const std::uint64_t cluster_size = std::uint64_t{1} << cluster_bits_;
    if (!fits(offset, bytes, file_size_ + cluster_size - 1)) {
      findings_.add(FindingKind::kReferenceOutside, offset, times, [&] {
        return text(what, " is at ", Hex{offset}, "; the file ends at ", Hex{file_size_});
      });
      return {};
    }
    const std::uint64_t first = offset >> cluster_bits_;
    const std::uint64_t last = (offset + bytes - 1) >> cluster_bits_;
    for (std::uint64_t cluster = first; cluster <= last; ++cluster) {
      BLOCKPULL_CHECK(add_one(cluster, times, what));
    }
    return {};
  }

  [[nodiscard]] ReferenceMap& map() { return map_; }

 private:
  [[nodiscard]] static std::uint64_t largest_refcount(const Header& header) {
    const std::uint64_t half = std::uint64_t{1} << (header.refcount_bits() - 1);
    return half + (half - 1);
  }

  Result<void> add_one(std::uint64_t cluster, std::uint64_t times, const char* what) {
    if (times == 1 && map_.try_mark(cluster)) {
      return {};
    }
    const std::uint64_t room = most_ - map_.count(cluster);
    const std::uint64_t fitting = times < room ? times : room;
    findings_.add(FindingKind::kReferencesTooMany, cluster << cluster_bits_, times - fitting, [&] {
      return text(what, " is in cluster ", cluster, ", which has more references than a refcount ",
                  "can state (", most_, ")");
    });
    return fitting == 0 ? Result<void>() : map_.add(cluster, fitting, what);
  }

  const std::uint32_t cluster_bits_;
  const std::uint64_t file_size_;
  const std::uint64_t most_;
  Findings& findings_;
  ReferenceMap map_;
};

}  // namespace blockpull::image::qcow2
