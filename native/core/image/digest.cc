// SPDX-License-Identifier: Apache-2.0

#include "core/image/digest.h"

#include <algorithm>
#include <span>
#include <vector>

#include "core/base/limits.h"
#include "core/image/guest_reader.h"
#include "core/image/sha256.h"

namespace blockpull::image {
namespace {

/// Hashed at a time: the largest cluster, so that no compressed cluster is inflated twice.
constexpr std::uint64_t kStep = std::uint64_t{1} << limits::kMaxClusterBits;

}  // namespace

Result<Digest> digest_guest(const Chain& chain) {
  const std::uint64_t size = chain.active().virtual_size();
  const std::vector<std::byte> zeros(kStep);
  std::vector<std::byte> buffer(kStep);
  Sha256 hash;
  std::uint64_t offset = 0;
  while (offset < size) {
    BLOCKPULL_TRY(zero_end, zeros_until(chain, {offset}));
    for (; offset < zero_end; offset += std::min(kStep, zero_end - offset)) {
      hash.update(std::span(zeros).first(std::min(kStep, zero_end - offset)));
    }
    // To the next multiple of the step.
    const std::uint64_t length = std::min(kStep - offset % kStep, size - offset);
    BLOCKPULL_CHECK(read_guest(chain, {offset}, std::span(buffer).first(length)));
    hash.update(std::span(buffer).first(length));
    offset += length;
  }
  return Digest{hash.finish(), size};
}

}  // namespace blockpull::image
