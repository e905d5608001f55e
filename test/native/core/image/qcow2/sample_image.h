// SPDX-License-Identifier: Apache-2.0
//
// A small, sound qcow2 image in memory; a test then changes some of its bytes.
//
//     cluster 0   header, extensions, backing name
//             1   refcount table
//             2   refcount block
//             3   L1 table (one cluster)
//             4   L2 table of L1 entry 0
//             5…  data; every cluster filled with a byte of its own, its number
//
// Refcounts are right only while nothing else than the layout above is linked; readers ignore them.

#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/image/qcow2/layout.h"
#include "core/image/qcow2/parse_header.h"
#include "core/image/qcow2/qcow2_image.h"
#include "faults/memory_file.h"

namespace blockpull::image::qcow2 {

class SampleImage {
 public:
  static constexpr std::uint64_t kL1Cluster = 3;
  static constexpr std::uint64_t kL2Cluster = 4;
  static constexpr std::uint64_t kFirstData = 5;
  static constexpr std::uint64_t kClusters = 16;

  explicit SampleImage(std::uint32_t cluster_bits = 12, std::uint32_t version = 3,
                       std::uint64_t virtual_clusters = 64)
      : cluster_size_(std::uint64_t{1} << cluster_bits), bytes_(kClusters * cluster_size_) {
    set32(field::kMagic, kMagic);
    set32(field::kVersion, version);
    set32(field::kClusterBits, cluster_bits);
    set64(field::kVirtualSize, virtual_clusters * cluster_size_);
    set32(field::kL1Size, static_cast<std::uint32_t>(cluster_size_ / kEntryBytes));
    set64(field::kL1TableOffset, at(kL1Cluster));
    set64(field::kRefcountTableOffset, at(1));
    set32(field::kRefcountTableClusters, 1);
    if (version >= 3) {
      set32(field::kRefcountOrder, 4);
      set32(field::kHeaderLength, kV3HeaderLength);
    }
    set64(at(1), at(2));
    for (std::uint64_t cluster = 0; cluster < kFirstData; ++cluster) {
      put_be_at<std::uint16_t>(bytes_, at(2) + cluster * 2, 1);
    }
    set64(at(kL1Cluster), at(kL2Cluster) | kCopied);
    for (std::uint64_t cluster = kFirstData; cluster < kClusters; ++cluster) {
      fill(at(cluster), cluster_size_, static_cast<int>(cluster));
    }
  }

  [[nodiscard]] std::uint64_t cluster_size() const { return cluster_size_; }
  /// Host offset of a cluster.
  [[nodiscard]] std::uint64_t at(std::uint64_t cluster) const { return cluster * cluster_size_; }
  [[nodiscard]] std::vector<std::byte>& bytes() { return bytes_; }

  void set32(std::uint64_t offset, std::uint32_t value) { put_be_at(bytes_, offset, value); }
  void set64(std::uint64_t offset, std::uint64_t value) { put_be_at(bytes_, offset, value); }

  void fill(std::uint64_t offset, std::uint64_t length, int value) {
    std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), length,
                static_cast<std::byte>(value));
  }

  void put_text(std::uint64_t offset, std::string_view text) {
    std::transform(text.begin(), text.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset),
                   [](char c) { return static_cast<std::byte>(c); });
  }

  /// Sets the L2 entry of guest cluster `index` in the only L2 table.
  void set_l2(std::uint64_t index, std::uint64_t entry) {
    set64(at(kL2Cluster) + index * kEntryBytes, entry);
  }

  /// The same for 16-byte entries.
  void set_extended_l2(std::uint64_t index, std::uint64_t entry, std::uint64_t bitmap) {
    set64(at(kL2Cluster) + index * kExtendedEntryBytes, entry);
    set64(at(kL2Cluster) + index * kExtendedEntryBytes + kEntryBytes, bitmap);
  }

  void add_incompatible(std::uint64_t bits) {
    set64(field::kIncompatibleFeatures,
          be_at<std::uint64_t>(bytes_, field::kIncompatibleFeatures) | bits);
  }

  /// Puts an extension at `offset`; returns the offset behind it.
  std::uint64_t put_extension(std::uint64_t offset, std::uint32_t type, std::string_view content) {
    set32(offset, type);
    set32(offset + 4, static_cast<std::uint32_t>(content.size()));
    put_text(offset + 8, content);
    return offset + 8 + (content.size() + 7) / 8 * 8;
  }

  /// Puts the backing file `name` behind the extensions, at `offset`.
  void put_backing(std::uint64_t offset, std::string_view name) {
    set64(field::kBackingFileOffset, offset);
    set32(field::kBackingFileSize, static_cast<std::uint32_t>(name.size()));
    put_text(offset, name);
  }

  /// Runs parse_header on the present bytes.
  [[nodiscard]] Result<Header> parse() const {
    return parse_header(bytes_, bytes_.size(), "sample.qcow2");
  }

  [[nodiscard]] Result<std::unique_ptr<Qcow2Image>> open() const {
    return Qcow2Image::open(std::make_unique<faults::MemoryFile>(bytes_, "sample.qcow2"));
  }

 private:
  std::uint64_t cluster_size_;
  std::vector<std::byte> bytes_;
};

}  // namespace blockpull::image::qcow2
