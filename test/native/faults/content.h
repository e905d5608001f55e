// SPDX-License-Identifier: Apache-2.0
//
// The content of a file as a value. It is sparse, and cheap to copy, because copies share the pages
// that neither has changed; a test that examines ten thousand states of one image needs both. A
// page that was never written reads as zeros and counts as a hole.
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

  /// Bytes behind the new size are lost; new bytes read as zeros.
  void resize(std::uint64_t size);

  /// Bytes past the end read as zeros.
  void read(std::uint64_t offset, std::span<std::byte> into) const;
  [[nodiscard]] std::vector<std::byte> read(std::uint64_t offset, std::uint64_t length) const;

  /// Grows the file to the end of the write if necessary.
  void write(std::uint64_t offset, std::span<const std::byte> from);

  /// Makes [offset, offset + length) read as zeros, as far as it lies inside; never grows.
  void zero(std::uint64_t offset, std::uint64_t length);

  /// The first offset from `offset` on in a page with data; size() if there is none.
  [[nodiscard]] std::uint64_t next_data(std::uint64_t offset) const;
  /// The same for a page without data.
  [[nodiscard]] std::uint64_t next_hole(std::uint64_t offset) const;

 private:
  using Page = std::array<std::byte, kPage>;

  [[nodiscard]] Page& own_page(std::uint64_t index);

  std::map<std::uint64_t, std::shared_ptr<Page>> pages_;
  std::uint64_t size_ = 0;
};

/// `length` bytes that depend on `seed` and are not zeros.
[[nodiscard]] std::vector<std::byte> pattern(std::uint64_t seed, std::uint64_t length);

}  // namespace blockpull::faults
