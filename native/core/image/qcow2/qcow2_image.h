// SPDX-License-Identifier: Apache-2.0
//
// A qcow2 image as a readable layer: header, L1 and L2 tables, compressed clusters, subclusters.
// Writing is elsewhere: `allocator.h`, `link_writer.h` and `header_edit.h` share the header and the
// table cache of this object.
//
// It is stricter than QEMU where QEMU silently loses data: an L1 or L2 table that does not begin in
// the file is kImageCorrupt, not a run of zeros. As in QEMU, the part of a table or cluster past
// the end of the file reads as zeros. So does a data cluster past the end, since a file may have
// been truncated sparsely. Reserved bits are ignored when reading.

#pragma once

#include <memory>
#include <vector>

#include "core/image/image.h"
#include "core/image/qcow2/header.h"
#include "core/image/qcow2/l1_table.h"
#include "core/image/qcow2/table_cache.h"

namespace blockpull::image {

class Qcow2Image final : public Image {
 public:
  /// Reads and checks the header (see parse_header and check_readable) and the snapshot table of
  /// `file`.
  [[nodiscard]] static Result<std::unique_ptr<Qcow2Image>> open(std::unique_ptr<io::File> file);

  /// The same for the metadata alone: the data may be encrypted, or in a file of its own.
  [[nodiscard]] static Result<std::unique_ptr<Qcow2Image>> open_metadata(
      std::unique_ptr<io::File> file);

  [[nodiscard]] Format format() const override { return Format::kQcow2; }

  [[nodiscard]] io::File& file() override { return *file_; }

  [[nodiscard]] std::uint64_t virtual_size() const override { return header_.virtual_size(); }

  [[nodiscard]] std::uint64_t cluster_size() const override { return header_.cluster_size(); }

  [[nodiscard]] const std::optional<BackingReference>& backing() const override {
    return header_.backing;
  }

  [[nodiscard]] Result<Extent> status(GuestOffset offset, std::uint64_t length) override;
  [[nodiscard]] std::uint64_t entry_span() const override {
    return header_.has_extended_l2() ? 0 : header_.cluster_size();
  }
  [[nodiscard]] Result<std::size_t> classify(GuestOffset offset, std::uint64_t unit,
                                             std::span<Status> into) override;
  [[nodiscard]] Result<void> check_walk() override;
  [[nodiscard]] Result<void> inflate(std::span<const std::byte> compressed,
                                     std::span<std::byte> into) const override;

  [[nodiscard]] const qcow2::Header& header() const { return header_; }

  [[nodiscard]] qcow2::Header& mutable_header() { return header_; }

  [[nodiscard]] qcow2::TableCache& tables() { return tables_; }

  /// The active L1 table.
  [[nodiscard]] qcow2::L1Table l1_table() const { return qcow2::L1Table::active(header_); }

 private:
  Qcow2Image(std::unique_ptr<io::File> file, qcow2::Header header, std::uint64_t file_size)
      : file_(std::move(file)),
        header_(std::move(header)),
        known_file_size_(file_size),
        tables_(*file_) {}

  /// The L2 tables in the L1 table, in the order of guest offsets.
  [[nodiscard]] Result<std::vector<std::uint64_t>> list_tables();

  /// The L1 entry for a guest offset.
  struct L1Answer {
    /// Offset of the L2 table in the file; 0: there is none.
    std::uint64_t table_offset = 0;
    /// If there is none: how many consecutive entries have none.
    std::uint64_t absent_entries = 0;
  };

  [[nodiscard]] Result<L1Answer> l1_at(std::uint64_t guest_offset);
  [[nodiscard]] Result<std::size_t> classify_in_slice(std::uint64_t guest_offset,
                                                      std::uint64_t unit, std::span<Status> into);
  [[nodiscard]] Result<std::size_t> classify_in_table(std::uint64_t table,
                                                      std::uint64_t guest_offset,
                                                      std::uint64_t unit, std::span<Status> into);
  /// A run inside one slice of one table.
  [[nodiscard]] Result<Extent> run_in_slice(std::uint64_t guest_offset, std::uint64_t length);
  [[nodiscard]] Result<Extent> run_in_table(std::uint64_t table, std::uint64_t guest_offset,
                                            std::uint64_t length);
  [[nodiscard]] Result<bool> can_be_table(std::uint64_t host_offset);
  [[nodiscard]] Result<bool> begins_in_file(std::uint64_t host_offset);
  [[nodiscard]] Error corrupt(const std::string& what, std::uint64_t guest_offset) const;

  const std::unique_ptr<io::File> file_;
  qcow2::Header header_;
  /// The file's length when it was last read; an active image grows.
  std::uint64_t known_file_size_;
  qcow2::TableCache tables_;
};

}  // namespace blockpull::image
