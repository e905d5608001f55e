// SPDX-License-Identifier: Apache-2.0

#include "driver/local/pull_metadata.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/limits.h"
#include "core/image/qcow2/disk_tail.h"
#include "core/image/qcow2/qcow2_image.h"
#include "core/image/qcow2/subclusters.h"

namespace blockpull::driver {
namespace {

using image::qcow2::Allocator;
using image::qcow2::HeaderEdit;
using image::qcow2::Subclusters;

/// Room for the tables that even a small image may get, whatever its cluster size.
constexpr std::uint64_t kSpareRoom = limits::kRefcountTableBytes + 4 * limits::kMiB;

/// How long one call of refill() takes: a cancel waits for it.
constexpr std::chrono::milliseconds kTurn{20};

std::vector<ClusterRange> copies_of(const LinkRuns& links) {
  std::vector<ClusterRange> copies;
  for (const image::qcow2::LinkRun& run : links) {
    if (run.takes_clusters()) {
      copies.push_back({run.host_cluster, run.count});
    }
  }
  return copies;
}

}  // namespace

Result<std::unique_ptr<PullMetadata>> PullMetadata::open(PullTarget& target,
                                                         const IsWanted& is_wanted) {
  BLOCKPULL_TRY(states, image::qcow2::DiskStates::open(target.active()));
  target.states = std::move(states);
  BLOCKPULL_TRY(allocator, Allocator::open(target.active(), is_wanted));
  BLOCKPULL_TRY(header_edit, HeaderEdit::plan(target.active(), target.new_backing));
  BLOCKPULL_TRY(trailing, find_trailing_data(target.active(), allocator, target.trailing));
  return std::unique_ptr<PullMetadata>(
      new PullMetadata(target, std::move(allocator), std::move(header_edit), std::move(trailing)));
}

PullMetadata::PullMetadata(const PullTarget& target, Allocator allocator, HeaderEdit header_edit,
                           TrailingFound trailing)
    : target_(target),
      allocator_(std::move(allocator)),
      link_writer_(target.active(), *target.states, allocator_),
      header_edit_(std::move(header_edit)),
      trailing_(std::move(trailing)),
      first_end_(allocator_.end()),
      survey_(target),
      planner_(target.chain, target.base, target.can_write_zero_clusters(), target.filled()) {
  if (trailing_.kept) {
    // No space may be allocated, or the file truncated, before the trailer is raised.
    allocator_.hold_from(trailing_.kept->held_from());
  }
}

Result<PullMetadata::Totals> PullMetadata::survey() {
  BLOCKPULL_TRY(totals, survey_.next());
  bytes_to_allocate_ = totals.bytes_to_allocate;
  return totals;
}

Result<void> PullMetadata::begin() {
  if (trailing_.kept) {
    // Twice the size of the clusters: 64-bit refcounts and their tables add an eighth of it. The
    // hole costs nothing.
    const std::uint64_t room = 2 * bytes_to_allocate_ + kSpareRoom;
    const std::uint64_t end = allocator_.end() * target_.active().cluster_size();
    BLOCKPULL_CHECK(trailing_.kept->raise(end + room));
    allocator_.hold_from(trailing_.kept->held_from() - trailing_.kept->length());
  }
  BLOCKPULL_CHECK(allocator_.begin());
  is_begun_ = true;
  return target_.active().header().has_extended_l2() ? complete_last_cluster() : Result<void>();
}

/// With subclusters the image may end inside its last cluster, which is written to in place. If a
/// pull that dies left a part of a cluster behind, the next one would take it for another
/// program's bytes.
Result<void> PullMetadata::complete_last_cluster() {
  io::File& file = target_.active().file();
  BLOCKPULL_TRY(size, file.size());
  const std::uint64_t end = allocator_.end() * target_.active().cluster_size();
  if (size >= end) {
    return {};
  }
  BLOCKPULL_CHECK(file.allocate(size, end - size));
  // If we die here, the next open sees the longer file or the shorter one.
  return file.sync();
}

/// Where the image ends in bytes, once nothing more is written to it.
std::uint64_t PullMetadata::end_of_image() const {
  const std::uint64_t cluster_size = target_.active().cluster_size();
  const std::uint64_t end = allocator_.end() * cluster_size;
  // If something unknown may own space behind the image, the trailer goes behind all of it.
  if (!allocator_.owns_all_space()) {
    return end;
  }
  if (subclusters_end_ > end - cluster_size) {
    return std::max(subclusters_end_, allocator_.end_of_use());
  }
  return allocator_.end() != first_end_ ? end : allocator_.end_of_use();
}

/// Notes how far the host clusters of these links are used; with subclusters that may end inside a
/// cluster.
void PullMetadata::note_subclusters(const LinkRuns& links) {
  const std::uint64_t cluster_size = target_.active().cluster_size();
  for (const image::qcow2::LinkRun& run : links) {
    if (!run.zero) {
      const std::uint64_t unused = Subclusters(run.bitmap).unallocated_at_end();
      subclusters_end_ =
          std::max(subclusters_end_, (run.host_cluster + run.count) * cluster_size -
                                         unused * (cluster_size / image::qcow2::kSubclusters));
    }
  }
}

/// Moves the trailer down to the end of the image, once nothing more is allocated there.
Result<void> PullMetadata::lower_trailer() {
  if (!trailing_.kept || allocator_.has_failed()) {
    // After a failure the end of the image is not certain. The next pull finds the trailer by its
    // mark.
    return {};
  }
  const std::uint64_t image_end = end_of_image();
  // Leaks that were not reclaimed lie right behind the image, so no trailer may be put there.
  BLOCKPULL_CHECK(trailing_.kept->lower(is_begun_ ? std::optional(image_end) : std::nullopt));
  allocator_.hold_from(trailing_.kept->held_from());
  return {};
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
      refill.zeros.add({.guest_cluster = step.zeros.first_cluster,
                        .count = step.zeros.count,
                        .zero = true,
                        .bitmap = Subclusters(0, step.zero_subclusters).bitmap()});
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

/// Reserves `clusters`, or half as many until the disk has room, down to one.
Result<ClusterRange> PullMetadata::reserve_most(std::uint64_t clusters) {
  for (;;) {
    auto reserved = allocator_.reserve(clusters);
    if (reserved.ok() || reserved.error().kind != ErrorKind::kNoSpace || clusters == 1) {
      return reserved;
    }
    clusters /= 2;
  }
}

Result<void> PullMetadata::commit(LinkRuns& links) {
  // Everything to be linked has been read by now.
  if (auto unchanged = target_.layer_watch.check_content(); !unchanged.ok()) {
    copies_in_doubt_ = true;
    return unchanged;
  }
  BLOCKPULL_CHECK(link_writer_.prepare(links));
  if (target_.active().header().has_extended_l2()) {
    note_subclusters(links);
  }
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

Result<std::string> PullMetadata::complete(const std::vector<ClusterRange>& unused) {
  BLOCKPULL_TRY(warning, clear_tail());
  BLOCKPULL_CHECK(give_back(unused));
  BLOCKPULL_CHECK(lower_trailer());
  BLOCKPULL_CHECK(header_edit_.prepare(target_.active()));
  BLOCKPULL_CHECK(target_.check_in_place());
  BLOCKPULL_CHECK(target_.layer_watch.check());
  BLOCKPULL_CHECK(header_edit_.apply(target_.active()));
  return warning;
}

/// Clears bytes that a growing disk would show. A longer backing file makes QEMU write zeros there,
/// but it drops out.
Result<std::string> PullMetadata::clear_tail() {
  image::Qcow2Image& active = target_.active();
  if (target_.chain.layers[1].image->virtual_size() <= active.virtual_size()) {
    return std::string();
  }
  BLOCKPULL_TRY(tails, image::qcow2::find_disk_tails(active, *target_.states));
  std::string warning;
  for (const image::qcow2::DiskTail& tail : tails) {
    if (!tail.can_be_cleared) {
      warning = image::qcow2::warning_of(active.file().path(), active, tail);
    } else {
      // If we die here, or before the next flush, the next open sees some of these bytes or zeros.
      // No guest reads them, and the backing file is still there.
      BLOCKPULL_CHECK(image::qcow2::clear_disk_tail(active, tail));
    }
  }
  return warning;
}

Result<void> PullMetadata::wind_up(LinkRuns& links, const std::vector<ClusterRange>& unused) {
  const Result<void> ended = end_links(links, unused);
  // On failure the trailer stays raised, at the end of the file.
  return ended.ok() ? lower_trailer() : ended;
}

Result<void> PullMetadata::end_links(LinkRuns& links, const std::vector<ClusterRange>& unused) {
  // Release unused clusters first: on a full disk, tables for the links may need their space.
  BLOCKPULL_CHECK(give_back(unused));
  if (links.empty() || links_in_doubt_) {
    return {};
  }
  if (!copies_in_doubt_) {
    const Result<void> linked = commit(links);
    if (linked.ok()) {
      // If we die here, the next open sees each of the last links made or not.
      return target_.active().file().sync();
    }
    const bool has_no_room = linked.error().kind == ErrorKind::kNoSpace && !links_in_doubt_;
    if (!copies_in_doubt_ && !has_no_room) {
      return linked;
    }
  }
  // Not even the tables fit, or the copies may be of a changed layer. The copies are released; the
  // chain still has the bytes.
  return give_back(copies_of(links));
}

}  // namespace blockpull::driver
