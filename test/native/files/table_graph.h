// SPDX-License-Identifier: Apache-2.0
//
// A qcow2 image that consists only of tables. A test states L1 entries and the words of L2 tables,
// right or wrong. Data clusters lie behind the end of the file and read as zeros.
//
//     header │ refcount table │ L1 … │ L2 table 0 │ L2 table 1 │ …
//
// There is no refcount block: readers do not need one, and nothing may be written.

#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::files {

struct TableGraph {
  std::uint32_t cluster_bits = 16;
  std::uint32_t version = 3;
  bool has_extended_l2 = false;
  std::uint64_t virtual_size = 0;
  /// Empty: none.
  std::string backing_name;
  std::string backing_format;
  std::vector<std::uint64_t> l1;
  /// Words of 8 bytes; a table with fewer ends with zeros.
  std::vector<std::vector<std::uint64_t>> tables;

  [[nodiscard]] std::uint64_t cluster_size() const { return std::uint64_t{1} << cluster_bits; }
  [[nodiscard]] std::uint64_t entry_words() const { return has_extended_l2 ? 2 : 1; }
  [[nodiscard]] std::uint64_t table_words() const { return cluster_size() / 8; }
  /// L1 entries that the virtual size needs.
  [[nodiscard]] std::uint64_t needed_l1() const {
    return divide_up(virtual_size, table_words() / entry_words() * cluster_size());
  }
  [[nodiscard]] std::uint64_t refcount_table_at() const { return cluster_size(); }
  [[nodiscard]] std::uint64_t l1_at() const { return 2 * cluster_size(); }
  /// Offset of table `index`; a table that does not exist is at the end of the file.
  [[nodiscard]] std::uint64_t table_at(std::uint64_t index) const {
    return l1_at() + round_up(l1.size() * 8, cluster_size()) + index * cluster_size();
  }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    using namespace image::qcow2;
    std::vector<std::byte> out(table_at(tables.size()));
    put_be_at<std::uint32_t>(out, field::kMagic, kMagic);
    put_be_at<std::uint32_t>(out, field::kVersion, version);
    put_be_at<std::uint32_t>(out, field::kClusterBits, cluster_bits);
    put_be_at<std::uint64_t>(out, field::kVirtualSize, virtual_size);
    put_be_at<std::uint32_t>(out, field::kL1Size, static_cast<std::uint32_t>(l1.size()));
    put_be_at<std::uint64_t>(out, field::kL1TableOffset, l1_at());
    put_be_at<std::uint64_t>(out, field::kRefcountTableOffset, refcount_table_at());
    put_be_at<std::uint32_t>(out, field::kRefcountTableClusters, 1);
    if (version >= 3) {
      put_be_at<std::uint64_t>(out, field::kIncompatibleFeatures,
                               has_extended_l2 ? incompatible::kExtendedL2 : 0);
      put_be_at<std::uint32_t>(out, field::kRefcountOrder, 4);
      put_be_at<std::uint32_t>(out, field::kHeaderLength, kV3HeaderLength);
    }
    put_backing(out);
    put_words(out, l1_at(), l1);
    for (std::size_t index = 0; index < tables.size(); ++index) {
      put_words(out, table_at(index), tables[index]);
    }
    return out;
  }

 private:
  static void put_text(std::vector<std::byte>& out, std::uint64_t at, const std::string& text) {
    std::transform(text.begin(), text.end(), out.begin() + static_cast<std::ptrdiff_t>(at),
                   [](char c) { return static_cast<std::byte>(c); });
  }

  static void put_words(std::vector<std::byte>& out, std::uint64_t at,
                        const std::vector<std::uint64_t>& words) {
    for (std::size_t index = 0; index < words.size(); ++index) {
      put_be_at<std::uint64_t>(out, at + index * 8, words[index]);
    }
  }

  void put_backing(std::vector<std::byte>& out) const {
    using namespace image::qcow2;
    if (backing_name.empty()) {
      return;
    }
    const std::uint64_t at = version >= 3 ? kV3HeaderLength : kV2HeaderLength;
    put_be_at<std::uint32_t>(out, at, extension::kBackingFormat);
    put_be_at<std::uint32_t>(out, at + 4, static_cast<std::uint32_t>(backing_format.size()));
    put_text(out, at + 8, backing_format);
    const std::uint64_t name_at = at + 24;
    put_be_at<std::uint64_t>(out, field::kBackingFileOffset, name_at);
    put_be_at<std::uint32_t>(out, field::kBackingFileSize,
                             static_cast<std::uint32_t>(backing_name.size()));
    put_text(out, name_at, backing_name);
  }
};

}  // namespace blockpull::files
