// SPDX-License-Identifier: Apache-2.0
//
// The calls that read whole disks, as guests would: digests and comparisons. Each works in turns,
// so that a large image does not hold a thread for long, and marks the files that it reads as
// needed until it is done.
//
// Thread rule: any thread, one at a time. A turn blocks for its reads.

#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "core/base/walk_watch.h"
#include "core/image/compare.h"
#include "core/image/digest.h"
#include "virt/calls/image_request.h"
#include "virt/chains/open_chains.h"
#include "virt/words/error_map.h"

namespace blockpull::virt {

/// A chain that is open for reading, without locks.
class ReadChain {
 public:
  [[nodiscard]] blockpull::Result<void> open(const ImageRequest& request);
  [[nodiscard]] const image::Chain& chain() const { return *chain_; }

 private:
  std::shared_ptr<OpenChains::Entry> entry_;
  std::optional<image::Chain> chain_;
};

/// The digest of the bytes that a guest reads.
class DigestCall {
 public:
  DigestCall(ImageRequest request, WalkWatch watch)
      : request_(std::move(request)), watch_(std::move(watch)) {}

  /// The first turn opens the image; each hashes some of it. Absent: call again. kCancelled if
  /// nobody wants the result any more.
  [[nodiscard]] std::optional<Result<image::Digest>> step();

 private:
  [[nodiscard]] blockpull::Result<bool> turn();

  const ImageRequest request_;
  const WalkWatch watch_;
  ReadChain chain_;
  std::optional<image::GuestDigest> digest_;
};

/// Whether two guests would read the same.
class CompareCall {
 public:
  CompareCall(ImageRequest a, ImageRequest b, WalkWatch watch)
      : a_(std::move(a)), b_(std::move(b)), watch_(std::move(watch)) {}

  /// As DigestCall::step().
  [[nodiscard]] std::optional<Result<image::Comparison>> step();

 private:
  [[nodiscard]] blockpull::Result<bool> turn();

  const ImageRequest a_;
  const ImageRequest b_;
  const WalkWatch watch_;
  ReadChain a_chain_;
  ReadChain b_chain_;
  std::optional<image::GuestComparison> comparison_;
};

}  // namespace blockpull::virt
