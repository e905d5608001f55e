// SPDX-License-Identifier: Apache-2.0
//
// The repair's promise as a function. It reads images from the format's specification and shares no
// line with the library. A picture of the image before the repair says what may change:
//
//     header              the place of the refcount table, the feature bits
//     active tables       bit 63 of an entry
//     refcount blocks     everything
//     what nobody uses    nothing, or zeros
//     all other bytes     nothing
//
// The L1 tables of snapshots, the snapshot table, bitmaps and data are among the other bytes.

#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "faults/content.h"

namespace blockpull::image::qcow2 {

/// What the header, the tables and the refcounts of an image say.
struct Picture {
  std::uint64_t cluster_size = 0;
  std::uint64_t refcount_table = 0;
  /// The largest refcount.
  std::uint64_t most = 0;
  std::uint64_t incompatible = 0;
  /// References by host cluster: of everything but refcounts, and of refcount table and blocks.
  std::map<std::uint64_t, std::uint64_t> used;
  std::map<std::uint64_t, std::uint64_t> used_by_refcounts;
  /// Those that are not 0.
  std::map<std::uint64_t, std::uint64_t> refcounts;
  /// Clusters of refcount blocks that the table states, and that can be some.
  std::set<std::uint64_t> blocks;
  /// Entries of the active L1 and L2 tables: place in the file, and host cluster.
  std::map<std::uint64_t, std::uint64_t> entries;
  /// Those of them with bit 63 set.
  std::set<std::uint64_t> copied;

  [[nodiscard]] std::uint64_t references(std::uint64_t cluster) const;
  [[nodiscard]] std::uint64_t refcount(std::uint64_t cluster) const;
};

[[nodiscard]] Picture picture_of(const faults::Content& image);

class RepairJudge {
 public:
  /// `is_understood`: the repair may lower refcounts and set flags.
  RepairJudge(faults::Content start, bool is_understood)
      : start_(std::move(start)), before_(picture_of(start_)), is_understood_(is_understood) {}

  [[nodiscard]] const faults::Content& start() const { return start_; }
  [[nodiscard]] bool is_understood() const { return is_understood_; }

  /// The fault of an image in which a repair was running; empty: none.
  [[nodiscard]] std::string fault_of(const faults::Content& image) const;

 private:
  [[nodiscard]] std::string changed_byte(const faults::Content& image) const;
  [[nodiscard]] std::string wrong_flag(const Picture& now) const;
  [[nodiscard]] std::string low_refcount(const Picture& now) const;
  /// The bits of a byte that may differ.
  [[nodiscard]] unsigned free_bits(std::uint64_t at) const;

  const faults::Content start_;
  const Picture before_;
  const bool is_understood_;
};

}  // namespace blockpull::image::qcow2
