// SPDX-License-Identifier: Apache-2.0
//
// Every host cluster gets its place first; then the tables are written with these places. The
// number of refcount blocks depends on the place of the last cluster and also moves it, so it is
// increased until it is enough.

#include "faults/image_recipe.h"

#include <algorithm>
#include <bit>
#include <set>
#include <string_view>

#include "core/base/bytes.h"

namespace blockpull::faults {
namespace {

constexpr std::uint64_t kCopied = std::uint64_t{1} << 63U;

class Builder {
 public:
  explicit Builder(const ImageRecipe& recipe)
      : recipe_(recipe),
        size_(recipe.cluster_size()),
        entry_bytes_(recipe.has_extended_l2 ? 16 : 8),
        per_table_(size_ / entry_bytes_),
        per_block_(size_ * 8 >> recipe.refcount_order) {}

  Content build() {
    place_tables();
    for (block_count_ = 0; !place_data(); ++block_count_) {
    }
    content_.resize((std::max(last_used_, *used_.rbegin()) + 1) * size_);
    write_header();
    write_guest_tables();
    write_refcounts();
    if (recipe_.ends_with_subcluster) {
      content_.resize(end_of_data_);
    }
    content_.write(content_.size(), pattern(recipe_.seed, recipe_.garbage_behind));
    return std::move(content_);
  }

 private:
  void put64(std::uint64_t offset, std::uint64_t value) {
    std::byte bytes[8];
    store_be<std::uint64_t>(bytes, value);
    content_.write(offset, bytes);
  }

  void put32(std::uint64_t offset, std::uint32_t value) {
    std::byte bytes[4];
    store_be<std::uint32_t>(bytes, value);
    content_.write(offset, bytes);
  }

  void put_text(std::uint64_t offset, std::string_view bytes) {
    content_.write(offset, std::as_bytes(std::span(bytes)));
  }

  void place_tables() {
    const std::uint64_t guest_clusters = (recipe_.virtual_size + size_ - 1) / size_;
    l1_entries_ = std::max<std::uint64_t>((guest_clusters + per_table_ - 1) / per_table_, 1);
    l1_cluster_ = 2;
    first_table_cluster_ = l1_cluster_ + (l1_entries_ * 8 + size_ - 1) / size_;
    for (const auto* clusters : {&recipe_.data_clusters, &recipe_.zero_clusters}) {
      for (const std::uint64_t cluster : *clusters) {
        tables_.insert(cluster / per_table_);
      }
    }
    for (const SubclusterRecipe& cluster : recipe_.subclusters) {
      tables_.insert(cluster.guest_cluster / per_table_);
    }
    first_block_cluster_ = first_table_cluster_ + tables_.size();
  }

  /// False if more blocks are needed than have a place.
  bool place_data() {
    used_.clear();
    data_places_.clear();
    for (std::uint64_t cluster = 0; cluster < first_block_cluster_ + block_count_; ++cluster) {
      used_.insert(cluster);
    }
    std::uint64_t next = std::max(*used_.rbegin() + 1, recipe_.first_data_cluster);
    std::uint64_t leaks = recipe_.leaked_clusters;
    std::size_t hosts = recipe_.data_clusters.size();
    for (const SubclusterRecipe& cluster : recipe_.subclusters) {
      hosts += cluster.has_host ? 1 : 0;
    }
    for (std::size_t i = 0; i < hosts; ++i) {
      if (i % 3 == 2 && leaks > 0) {
        used_.insert(next++);
        --leaks;
      }
      used_.insert(next);
      data_places_.push_back(next++);
    }
    for (; leaks > 0; --leaks) {
      used_.insert(next++);
    }
    last_used_ = next - 1;
    blocks_.clear();
    for (const std::uint64_t cluster : used_) {
      blocks_.insert(cluster / per_block_);
    }
    return blocks_.size() <= block_count_;
  }

  void write_header() {
    put32(0, 0x514649fb);
    put32(4, recipe_.version);
    put32(20, recipe_.cluster_bits);
    put64(24, recipe_.virtual_size);
    put32(36, static_cast<std::uint32_t>(l1_entries_));
    put64(40, l1_cluster_ * size_);
    put64(48, size_);
    put32(56, 1);
    std::uint64_t at = 72;
    if (recipe_.version >= 3) {
      put64(72, recipe_.has_extended_l2 ? 1U << 4U : 0);
      put64(88, recipe_.autoclear);
      put32(96, recipe_.refcount_order);
      put32(100, 112);
      at = 112;
    }
    if (!recipe_.backing_format.empty()) {
      put32(at, 0xe2792aca);
      put32(at + 4, static_cast<std::uint32_t>(recipe_.backing_format.size()));
      put_text(at + 8, recipe_.backing_format);
      at += 16;
    }
    if (recipe_.has_unknown_extension) {
      put32(at, 0x12345678);
      put32(at + 4, 5);
      put_text(at + 8, "hello");
      at += 16;
    }
    at += recipe_.has_end_marker ? 8 : 0;
    if (!recipe_.backing_name.empty()) {
      put64(8, at);
      put32(16, static_cast<std::uint32_t>(recipe_.backing_name.size()));
      put_text(at, recipe_.backing_name);
    }
  }

  [[nodiscard]] std::uint64_t entry_at(std::uint64_t guest_cluster) const {
    const auto table = tables_.find(guest_cluster / per_table_);
    const auto nth = static_cast<std::uint64_t>(std::distance(tables_.begin(), table));
    return (first_table_cluster_ + nth) * size_ + guest_cluster % per_table_ * entry_bytes_;
  }

  void write_guest_tables() {
    std::uint64_t nth = 0;
    for (const std::uint64_t table : tables_) {
      put64(l1_cluster_ * size_ + table * 8, ((first_table_cluster_ + nth++) * size_) | kCopied);
    }
    for (std::size_t i = 0; i < recipe_.data_clusters.size(); ++i) {
      const std::uint64_t guest_cluster = recipe_.data_clusters[i];
      const std::uint64_t place = data_places_[i] * size_;
      put_data(guest_cluster, place, 0xffffffff);
    }
    for (const std::uint64_t guest_cluster : recipe_.zero_clusters) {
      if (recipe_.has_extended_l2) {
        put64(entry_at(guest_cluster) + 8, std::uint64_t{0xffffffff} << 32U);
      } else {
        put64(entry_at(guest_cluster), 1);
      }
    }
    std::size_t host = recipe_.data_clusters.size();
    for (const SubclusterRecipe& cluster : recipe_.subclusters) {
      if (cluster.has_host) {
        put_data(cluster.guest_cluster, data_places_[host++] * size_, cluster.allocated);
      }
      put64(entry_at(cluster.guest_cluster) + 8,
            std::uint64_t{cluster.zero} << 32U | cluster.allocated);
    }
  }

  void put_data(std::uint64_t guest_cluster, std::uint64_t place, std::uint32_t allocated) {
    put64(entry_at(guest_cluster), place | kCopied);
    if (recipe_.has_extended_l2) {
      put64(entry_at(guest_cluster) + 8, allocated);
    }
    content_.write(place, pattern(recipe_.seed * 1000003 + guest_cluster, size_));
    // A cluster that was preallocated is whole.
    const auto written =
        allocated == 0 ? 32U : 32U - static_cast<unsigned>(std::countl_zero(allocated));
    end_of_data_ = std::max(end_of_data_, place + size_ / 32 * written);
  }

  void write_refcounts() {
    std::uint64_t nth = 0;
    for (const std::uint64_t block : blocks_) {
      const std::uint64_t place = (first_block_cluster_ + nth++) * size_;
      put64(size_ + block * 8, place);
      std::vector<std::byte> bytes(size_);
      for (auto used = used_.lower_bound(block * per_block_);
           used != used_.end() && *used < (block + 1) * per_block_; ++used) {
        set_refcount(bytes, *used % per_block_);
      }
      content_.write(place, bytes);
    }
  }

  void set_refcount(std::vector<std::byte>& block, std::uint64_t index) const {
    const std::uint64_t bits = std::uint64_t{1} << recipe_.refcount_order;
    // The lowest bit of a packed entry, the last byte of a wide one.
    const std::uint64_t bit = index * bits;
    const std::uint64_t byte = bits < 8 ? bit / 8 : (bit + bits) / 8 - 1;
    block[byte] |= static_cast<std::byte>(1U << (bits < 8 ? bit % 8 : 0));
  }

  const ImageRecipe& recipe_;
  const std::uint64_t size_;
  const std::uint64_t entry_bytes_;
  const std::uint64_t per_table_;
  const std::uint64_t per_block_;
  Content content_;
  std::uint64_t l1_entries_ = 0;
  std::uint64_t l1_cluster_ = 0;
  std::uint64_t first_table_cluster_ = 0;
  std::uint64_t first_block_cluster_ = 0;
  std::uint64_t block_count_ = 0;
  std::uint64_t last_used_ = 0;
  std::uint64_t end_of_data_ = 0;
  /// Indices of L2 tables, host clusters in use, indices of refcount blocks.
  std::set<std::uint64_t> tables_;
  std::set<std::uint64_t> used_;
  std::set<std::uint64_t> blocks_;
  std::vector<std::uint64_t> data_places_;
};

}  // namespace

Content build_image(const ImageRecipe& recipe) {
  return Builder(recipe).build();
}

}  // namespace blockpull::faults
