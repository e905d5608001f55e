// SPDX-License-Identifier: Apache-2.0

#include "driver/pull_metadata.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/limits.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::driver {
namespace {

using image::qcow2::Allocator;
using image::qcow2::HeaderEdit;

/// A call of refill() lasts about so long: a cancel waits for it.
constexpr std::chrono::milliseconds kTurn{20};

}  // namespace

Result<std::unique_ptr<PullMetadata>> PullMetadata::open(const PullTarget& target) {
  BLOCKPULL_TRY(allocator, Allocator::open(target.active()));
  BLOCKPULL_TRY(header_edit, HeaderEdit::plan(target.active(), target.new_backing));
  return std::unique_ptr<PullMetadata>(
      new PullMetadata(target, std::move(allocator), std::move(header_edit)));
}

PullMetadata::PullMetadata(const PullTarget& target, Allocator allocator, HeaderEdit header_edit)
    : target_(target),
      allocator_(std::move(allocator)),
      link_writer_(target.active(), allocator_),
      header_edit_(std::move(header_edit)),
      survey_(target),
      planner_(target.chain, target.base, target.can_write_zero_clusters()) {}

Result<void> PullMetadata::begin() {
  return allocator_.begin();
}

Result<PullMetadata::Refill> PullMetadata::refill(const RefillRequest& request) {
  const auto until = std::chrono::steady_clock::now() + kTurn;
  Refill refill;
  std::uint64_t clusters = request.missing_clusters;
  std::uint64_t planned = 0;
  while (planned < request.ahead_bytes && !refill.at_end &&
         std::chrono::steady_clock::now() < until) {
    BLOCKPULL_TRY(step, planner_.next(request.piece_bytes));
    refill.settled += step.settled;
    refill.at_end = step.at_end;
    if (step.zeros.count > 0) {
      refill.zeros.push_back({step.zeros.first_cluster, step.zeros.count, 0, true});
      refill.zero_clusters += step.zeros.count;
      refill.settled += step.zeros.count * target_.active().cluster_size();
      planned += step.zeros.count * image::qcow2::kEntryBytes;
    }
    if (step.piece.clusters > 0) {
      clusters += step.piece.clusters;
      planned += step.piece.clusters * target_.active().cluster_size();
      refill.pieces.push_back(std::move(step.piece));
    }
  }
  if (clusters > 0) {
    BLOCKPULL_TRY(grant, reserve_most(clusters));
    refill.grants.push_back(grant);
  }
  return refill;
}

/// As many of `clusters` as the disk has room for, halving down to one.
Result<ClusterRange> PullMetadata::reserve_most(std::uint64_t clusters) {
  for (;;) {
    auto reserved = allocator_.reserve(clusters);
    if (reserved.ok() || reserved.error().kind != ErrorKind::kNoSpace || clusters == 1) {
      return reserved;
    }
    clusters /= 2;
  }
}

Result<void> PullMetadata::commit(const std::vector<LinkRun>& links) {
  BLOCKPULL_CHECK(link_writer_.prepare(links));
  // If we die here, the next open sees data and tables that nothing refers to: leaks of this batch.
  BLOCKPULL_CHECK(target_.active().file().sync());
  Result<void> linked = link_writer_.commit();
  links_in_doubt_ = !linked.ok();
  return linked;
}

Result<void> PullMetadata::give_back(const std::vector<ClusterRange>& unused) {
  for (const ClusterRange& range : unused) {
    BLOCKPULL_CHECK(allocator_.release(range));
  }
  // If we die here, the next open sees every link made so far or its old value, and some leaks.
  BLOCKPULL_CHECK(target_.active().file().sync());
  return allocator_.trim();
}

Result<void> PullMetadata::complete(const std::vector<ClusterRange>& unused) {
  BLOCKPULL_CHECK(give_back(unused));
  BLOCKPULL_CHECK(target_.check_in_place());
  return header_edit_.apply(target_.active());
}

Result<void> PullMetadata::wind_up(const std::vector<LinkRun>& links,
                                   const std::vector<ClusterRange>& unused) {
  // First what is unused: on a full disk, tables for the links may need its space.
  BLOCKPULL_CHECK(give_back(unused));
  if (links.empty() || links_in_doubt_) {
    return {};
  }
  if (Result<void> linked = commit(links); !linked.ok()) {
    if (linked.error().kind != ErrorKind::kNoSpace || links_in_doubt_) {
      return linked;
    }
    // Not even the tables fit: the copies go, the chain still has the bytes.
    std::vector<ClusterRange> copies;
    for (const LinkRun& run : links) {
      if (!run.zero) {
        copies.push_back({run.host_cluster, run.count});
      }
    }
    return give_back(copies);
  }
  // If we die here, the next open sees each of the last links made or not.
  return target_.active().file().sync();
}

}  // namespace blockpull::driver
