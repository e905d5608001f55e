// SPDX-License-Identifier: Apache-2.0

#include "core/image/compare.h"

#include <algorithm>
#include <span>

#include "core/base/limits.h"

namespace blockpull::image {
namespace {

/// Bytes compared at a time: the largest cluster, so that no compressed cluster is inflated twice.
constexpr std::uint64_t kStep = std::uint64_t{1} << limits::kMaxClusterBits;

/// Bytes that the tables of both sides are asked about at a time.
constexpr std::uint64_t kKnown = limits::kGiB;

}  // namespace

GuestComparison::GuestComparison(const Chain& a, const Chain& b)
    : a_(a), b_(b), end_(std::max(a_.size, b_.size)) {
  result_.a_size = a_.size;
  result_.b_size = b_.size;
}

Result<bool> GuestComparison::step(std::uint64_t bytes) {
  const std::uint64_t end = offset_ + std::min(std::max(bytes, kStep), end_ - offset_);
  while (offset_ < end && !result_.first_difference) {
    BLOCKPULL_TRY(known, known_equal_until(std::min(offset_ + kKnown, end_)));
    if (known > offset_) {
      offset_ = known;
      continue;
    }
    BLOCKPULL_CHECK(compare_bytes(std::min(kStep - offset_ % kStep, end - offset_)));
  }
  return offset_ < end_ && !result_.first_difference;
}

Result<std::uint64_t> GuestComparison::known_equal_until(std::uint64_t end) {
  BLOCKPULL_TRY(a_zeros, zeros_until(a_, offset_, end));
  BLOCKPULL_TRY(b_zeros, zeros_until(b_, offset_, end));
  const std::uint64_t zeros = std::min(a_zeros, b_zeros);
  return zeros > offset_ ? zeros : same_place_until(end);
}

/// Behind the end of a disk there are only zeros.
Result<std::uint64_t> GuestComparison::zeros_until(Side& side, std::uint64_t offset,
                                                   std::uint64_t end) {
  if (offset >= side.size) {
    return end;
  }
  BLOCKPULL_TRY(zeros, side.walk.zeros_until({offset}, std::min(end, side.size)));
  return zeros == side.size ? end : zeros;
}

Result<std::uint64_t> GuestComparison::same_place_until(std::uint64_t end) {
  const std::uint64_t length = std::min({end, a_.size, b_.size});
  if (length <= offset_) {
    return offset_;
  }
  const auto owner = [&](Side& side) {
    return side.walk.who_has(0, side.chain.layers.size(), {offset_}, length - offset_);
  };
  BLOCKPULL_TRY(a, owner(a_));
  BLOCKPULL_TRY(b, owner(b_));
  const bool is_data = a.extent.status == Status::kData && b.extent.status == Status::kData &&
                       a.layer < a_.chain.layers.size() && b.layer < b_.chain.layers.size();
  const bool is_same = is_data && a.extent.host.value == b.extent.host.value &&
                       a_.chain.layers[a.layer].file->id() == b_.chain.layers[b.layer].file->id();
  return is_same ? offset_ + std::min(a.extent.length, b.extent.length) : offset_;
}

Result<void> GuestComparison::read(Side& side, std::uint64_t offset, std::uint64_t length) {
  side.bytes.assign(length, std::byte{0});
  const std::uint64_t inside = offset < side.size ? std::min(length, side.size - offset) : 0;
  return side.walk.read({offset}, std::span(side.bytes).first(inside));
}

Result<void> GuestComparison::compare_bytes(std::uint64_t length) {
  BLOCKPULL_CHECK(read(a_, offset_, length));
  BLOCKPULL_CHECK(read(b_, offset_, length));
  const auto [a, b] = std::mismatch(a_.bytes.begin(), a_.bytes.end(), b_.bytes.begin());
  if (a == a_.bytes.end()) {
    offset_ += length;
    return {};
  }
  offset_ += static_cast<std::uint64_t>(a - a_.bytes.begin());
  result_.first_difference = offset_;
  return {};
}

}  // namespace blockpull::image
