// SPDX-License-Identifier: Apache-2.0

#include "driver/plan/subcluster_plan.h"

#include <algorithm>

#include "core/base/checked.h"
#include "core/image/qcow2/extended_entry.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::driver {

using image::GuestOffset;
using image::Status;
using image::qcow2::kSubclusters;
using image::qcow2::subcluster_mask;
using image::qcow2::Subclusters;

Result<SubclusterFill> SubclusterPlan::at(std::uint64_t offset) {
  image::Qcow2Image& active = *chain_.active_qcow2();
  const std::uint64_t size = active.cluster_size() / kSubclusters;
  const std::uint64_t end = std::min(offset + active.cluster_size(), active.virtual_size());
  BLOCKPULL_TRY(entry, image::qcow2::find_extended(active, offset / active.cluster_size()));
  const std::uint32_t missing =
      Subclusters(entry.bitmap).missing() & touched_by(offset, end - offset);
  Touched touched;
  for (std::uint32_t mask = missing; mask != 0;) {
    const image::qcow2::SubclusterRun run = image::qcow2::first_run(mask);
    BLOCKPULL_CHECK(
        look(offset + run.first * size, std::min(offset + run.end * size, end), touched));
    mask &= ~run.mask();
  }
  SubclusterFill fill;
  fill.host_cluster = (entry.word & image::qcow2::kOffsetMask) / active.cluster_size();
  fill.data = touched.copied | (touched.hidden & touched.shown);
  fill.zero = touched.hidden & ~fill.data;
  return fill;
}

/// Finds out who has the bytes [from, until) below the active image.
Result<void> SubclusterPlan::look(std::uint64_t from, std::uint64_t until, Touched& touched) {
  for (std::uint64_t at = from; at < until;) {
    BLOCKPULL_TRY(above, walk_.who_has(1, base_, GuestOffset{at}, until - at));
    const Status status = above.extent.status;
    std::uint64_t length = above.extent.length;
    if (status == Status::kData || status == Status::kCompressed) {
      touched.copied |= touched_by(at, length);
    } else if (has_base()) {
      BLOCKPULL_TRY(below, walk_.who_has(base_, chain_.layers.size(), GuestOffset{at}, length));
      length = below.extent.length;
      if (below.extent.status == Status::kData || below.extent.status == Status::kCompressed) {
        (status == Status::kZero ? touched.hidden : touched.shown) |= touched_by(at, length);
      }
    }
    at += length;
  }
  return {};
}

/// The subclusters of one cluster that the bytes [at, at + length) lie in, which are not none.
std::uint32_t SubclusterPlan::touched_by(std::uint64_t at, std::uint64_t length) const {
  const std::uint64_t cluster_size = chain_.active().cluster_size();
  const std::uint64_t size = cluster_size / kSubclusters;
  const std::uint64_t in_cluster = at % cluster_size;
  return subcluster_mask(static_cast<std::uint32_t>(in_cluster / size),
                         static_cast<std::uint32_t>(divide_up(in_cluster + length, size)));
}

}  // namespace blockpull::driver
