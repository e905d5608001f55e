// SPDX-License-Identifier: Apache-2.0
//
// What a file contains, as a value: sparse, and cheap to copy, because copies share the pages that
// neither has changed. A test that looks at ten thousand states of one image needs both. A page
// that was never written reads as zeros and counts as a hole.
//
// Thread rule: one thread; copies share pages without a lock.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace blockpull::faults {

class Content {
 public:
  static constexpr std::uint64_t kPage = 4096;

  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// What is cut off is gone; what is added reads as zeros.
  void resize(std::uint64_t size);

  /// Bytes past the end read as zeros.
  void read(std::uint64_t offset, std::span<std::byte> into) const;
  [[nodiscard]] std::vector<std::byte> read(std::uint64_t offset, std::uint64_t length) const;

  /// Grows to the end of what is written.
  void write(std::uint64_t offset, std::span<const std::byte> from);

  /// [offset, offset + length) reads as zeros, as far as it lies inside; never grows.
  void zero(std::uint64_t offset, std::uint64_t length);

  /// The first offset from `offset` on that lies in a page with data, size() when there is none.
  [[nodiscard]] std::uint64_t next_data(std::uint64_t offset) const;
  /// The same for a page without.
  [[nodiscard]] std::uint64_t next_hole(std::uint64_t offset) const;

 private:
  using Page = std::array<std::byte, kPage>;

  [[nodiscard]] Page& own_page(std::uint64_t index);

  std::map<std::uint64_t, std::shared_ptr<Page>> pages_;
  std::uint64_t size_ = 0;
};

/// `length` bytes that follow from `seed` and are not zeros.
[[nodiscard]] std::vector<std::byte> pattern(std::uint64_t seed, std::uint64_t length);

}  // namespace blockpull::faults
