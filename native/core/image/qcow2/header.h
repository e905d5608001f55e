// SPDX-License-Identifier: Apache-2.0
//
// What a qcow2 header states, as parse_header.h has checked it, and what follows from it by
// arithmetic.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/image.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image::qcow2 {

/// One header extension: the offset of its 8-byte head in cluster 0, and the length of its data,
/// without padding.
struct Extension {
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};

/// The bitmaps extension.
struct BitmapDirectory {
  std::uint32_t count = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// Where the LUKS header is in the file.
struct EncryptionHeader {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

struct Header {
  std::uint32_t version = 0;
  std::uint32_t cluster_bits = 0;
  /// As stored; the guest sees it rounded down to 512.
  std::uint64_t stored_size = 0;
  std::uint64_t backing_offset = 0;
  std::uint32_t backing_length = 0;
  std::uint32_t crypt_method = 0;
  std::uint32_t l1_entries = 0;
  std::uint64_t l1_offset = 0;
  std::uint64_t refcount_table_offset = 0;
  std::uint32_t refcount_table_clusters = 0;
  std::uint32_t snapshot_count = 0;
  std::uint64_t snapshots_offset = 0;
  std::uint64_t incompatible = 0;
  std::uint64_t compatible = 0;
  std::uint64_t autoclear = 0;
  std::uint32_t refcount_order = 4;
  std::uint32_t header_length = kV2HeaderLength;
  CompressionType compression = CompressionType::kDeflate;

  std::optional<BackingReference> backing;
  /// Absent also if the autoclear bit says that the bitmaps are no longer valid.
  std::optional<BitmapDirectory> bitmaps;
  std::optional<EncryptionHeader> encryption;
  std::vector<Extension> extensions;
  /// First byte behind the last extension, where an end marker is or would be.
  std::uint64_t extensions_end = 0;
  /// Whether an end marker of 8 zero bytes really is at `extensions_end`. Without one the
  /// extensions end at the backing name, or at the end of the cluster.
  bool has_end_marker = false;

  [[nodiscard]] std::uint64_t cluster_size() const { return std::uint64_t{1} << cluster_bits; }

  [[nodiscard]] std::uint64_t virtual_size() const { return stored_size & ~(kSector - 1); }

  [[nodiscard]] bool has_extended_l2() const {
    return (incompatible & incompatible::kExtendedL2) != 0;
  }

  [[nodiscard]] bool has_data_file() const {
    return (incompatible & incompatible::kExternalData) != 0;
  }

  [[nodiscard]] std::size_t l2_entry_bytes() const {
    return has_extended_l2() ? kExtendedEntryBytes : kEntryBytes;
  }

  [[nodiscard]] std::uint64_t l2_entries() const { return cluster_size() / l2_entry_bytes(); }

  [[nodiscard]] std::uint64_t refcount_bits() const { return std::uint64_t{1} << refcount_order; }

  /// Host clusters that one refcount block covers.
  [[nodiscard]] std::uint64_t refcounts_per_block() const {
    return cluster_size() * 8 / refcount_bits();
  }

  [[nodiscard]] const Extension* find(std::uint32_t type) const;
};

/// Whether a table or cluster lies in a file of that length. It may reach past the end by less than
/// a cluster: as in QEMU, the missing part reads as zeros.
[[nodiscard]] bool lies_in_file(std::uint64_t offset, std::uint64_t bytes, std::uint64_t file_size,
                                std::uint64_t cluster_size);

}  // namespace blockpull::image::qcow2
