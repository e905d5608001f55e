// SPDX-License-Identifier: Apache-2.0

#include "core/image/digest.h"

#include <algorithm>
#include <array>
#include <span>

#include "core/base/hash/sha256.h"
#include "core/base/limits.h"

namespace blockpull::image {
namespace {

/// Bytes hashed at a time: the largest cluster, so that no compressed cluster is inflated twice.
constexpr std::uint64_t kStep = std::uint64_t{1} << limits::kMaxClusterBits;

}  // namespace

GuestDigest::GuestDigest(const Chain& chain)
    : walk_(chain), size_(chain.active().virtual_size()), buffer_(kStep) {}

Result<bool> GuestDigest::step(std::uint64_t bytes) {
  static constexpr std::array<std::byte, 64 * limits::kKiB> kZeros{};
  const std::uint64_t end = offset_ + std::min(std::max(bytes, kStep), size_ - offset_);
  while (offset_ < end) {
    BLOCKPULL_TRY(zeros_end, walk_.zeros_until({offset_}, end));
    while (offset_ < zeros_end) {
      const std::uint64_t length = std::min<std::uint64_t>(kZeros.size(), zeros_end - offset_);
      hash_.update(std::span(kZeros).first(length));
      offset_ += length;
    }
    // Up to the next multiple of kStep.
    const std::uint64_t length = std::min(kStep - offset_ % kStep, end - offset_);
    BLOCKPULL_CHECK(walk_.read({offset_}, std::span(buffer_).first(length)));
    hash_.update(std::span(buffer_).first(length));
    offset_ += length;
  }
  return offset_ < size_;
}

Digest GuestDigest::finish() {
  return {hash_.finish(), size_};
}

}  // namespace blockpull::image
