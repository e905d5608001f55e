// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/check/reference_counter.h"

#include <algorithm>

#include "core/base/checked.h"
#include "core/base/text.h"

namespace blockpull::image::qcow2 {
namespace {

std::uint64_t largest_refcount(const Header& header) {
  const std::uint64_t half = std::uint64_t{1} << (header.refcount_bits() - 1);
  return half + (half - 1);
}

}  // namespace

ReferenceCounter::ReferenceCounter(const Header& header, std::uint64_t file_size,
                                   Findings& findings)
    : cluster_bits_(header.cluster_bits),
      file_size_(file_size),
      most_(largest_refcount(header)),
      findings_(findings) {}

Result<void> ReferenceCounter::add(const Reference& reference) {
  if (reference.bytes == 0) {
    return {};
  }
  const std::uint64_t cluster_size = std::uint64_t{1} << cluster_bits_;
  if (!fits(reference.offset, reference.bytes, file_size_ + cluster_size - 1)) {
    findings_.add(FindingCode::kReferenceOutside, reference.place, reference.times, [&] {
      return text(reference.what, " is stated to be at ", Hex{reference.offset},
                  "; the file ends at ", Hex{file_size_});
    });
    return {};
  }
  const std::uint64_t end = reference.offset + reference.bytes;
  if (!reference.is_compressed) {
    map_.note_plain_end(end - reference.unread_bytes);
    map_.note_zeroed_end(end - reference.unread_bytes + reference.zeroed_bytes);
  }
  const std::uint64_t last = (end - 1) >> cluster_bits_;
  for (std::uint64_t cluster = reference.offset >> cluster_bits_; cluster <= last; ++cluster) {
    BLOCKPULL_CHECK(add_one(cluster, reference));
  }
  return {};
}

Result<void> ReferenceCounter::add_one(std::uint64_t cluster, const Reference& reference) {
  if (reference.times == 1 && map_.try_mark(cluster)) {
    return {};
  }
  const std::uint64_t fitting = std::min(reference.times, most_ - map_.count(cluster));
  if (fitting < reference.times) {
    findings_.add(FindingCode::kReferencesTooMany, reference.place, reference.times - fitting, [&] {
      return text(reference.what, " is in cluster ", cluster,
                  ", which has more references than a refcount can state (", most_, ")");
    });
  }
  return fitting == 0 ? Result<void>() : map_.add(cluster, fitting, reference.what);
}

}  // namespace blockpull::image::qcow2
