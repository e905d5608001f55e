// SPDX-License-Identifier: Apache-2.0
//
// Checks the entries of one L2 table, and counts what they refer to.
//
//     uses           how many L1 entries lead to the table: each reference in it counts that many
//                    times
//     active_uses    how many of them are in the active L1 table: a wrong copied flag counts that
//                    many times
//
// Bit 63, "copied", is set exactly if the stored refcount is 1. Only the active tables have to be
// right: QEMU sets the bit anew when it reverts to a snapshot.

#pragma once

#include <cstdint>
#include <span>

#include "core/base/walk_watch.h"
#include "core/image/qcow2/check/reference_counter.h"
#include "core/image/qcow2/check/stored_refcounts.h"

namespace blockpull::image::qcow2 {

struct L2Table {
  std::uint64_t offset = 0;
  /// Of its first use.
  std::uint32_t l1_index = 0;
  std::uint64_t uses = 0;
  std::uint64_t active_uses = 0;
};

class EntryCheck {
 public:
  EntryCheck(Qcow2Image& image, ReferenceCounter& counter, StoredRefcounts& stored,
             Findings& findings)
      : image_(image),
        header_(image.header()),
        has_data_file_(image.header().has_data_file()),
        counter_(counter),
        stored_(stored),
        findings_(findings) {}

  [[nodiscard]] Result<void> check(const L2Table& table);

  /// Of the active disk so far.
  [[nodiscard]] std::uint64_t allocated() const { return allocated_; }
  [[nodiscard]] std::uint64_t compressed() const { return compressed_; }

 private:
  /// One entry, as it is stored.
  struct Entry {
    std::uint64_t place = 0;
    std::uint64_t word = 0;
    /// The second half of an entry of 16 bytes.
    std::uint64_t subclusters = 0;
    /// In its table.
    std::uint64_t index = 0;
  };

  [[nodiscard]] Result<void> check_part(const L2Table& table, std::uint64_t first,
                                        std::span<const std::byte> part);
  [[nodiscard]] Result<void> check_entry(const L2Table& table, const Entry& entry);
  [[nodiscard]] Result<void> check_compressed(const L2Table& table, const Entry& entry);
  [[nodiscard]] Result<void> check_allocated(const L2Table& table, const Entry& entry);
  [[nodiscard]] Result<void> check_copied(const L2Table& table, const Entry& entry);
  void found(FindingCode code, const L2Table& table, const Entry& entry, const char* what);

  Qcow2Image& image_;
  const Header& header_;
  const bool has_data_file_;
  ReferenceCounter& counter_;
  StoredRefcounts& stored_;
  Findings& findings_;
  std::uint64_t allocated_ = 0;
  std::uint64_t compressed_ = 0;
};

}  // namespace blockpull::image::qcow2
