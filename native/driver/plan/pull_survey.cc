// SPDX-License-Identifier: Apache-2.0

#include "driver/plan/pull_survey.h"

#include <algorithm>
#include <bit>
#include <chrono>

#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::driver {
namespace {

using image::ChainRows;
using image::LayerRow;
using image::Status;

/// How long one call of next() takes: a cancel waits for it.
constexpr std::chrono::milliseconds kTurn{20};

/// Bytes that the piece takes in the file. A host cluster that is there already may be a hole: an
/// image with preallocated metadata has space for none of its clusters.
std::uint64_t bytes_of(const Piece& piece, std::uint64_t cluster_size) {
  std::uint64_t bytes = (piece.clusters - piece.fills.size()) * cluster_size;
  for (const SubclusterFill& fill : piece.fills) {
    const auto filled = static_cast<std::uint64_t>(std::popcount(fill.data));
    bytes += fill.host_cluster == 0 ? cluster_size
                                    : filled * (cluster_size / image::qcow2::kSubclusters);
  }
  return bytes;
}

}  // namespace

PullSurvey::PullSurvey(const PullTarget& target)
    : target_(target),
      states_(target.states ? *target.states : image::qcow2::DiskStates(target.active())),
      end_(target.active().virtual_size()),
      planner_(target.chain, target.base, target.can_write_zero_clusters(), &states_),
      rows_(target.chain, planner_.walk(), 0, target.base),
      planned_until_(target.active().entry_span() == 0 || states_.has_snapshots() ? end_ : 0) {}

Result<PullSurvey::Totals> PullSurvey::next() {
  const auto until = std::chrono::steady_clock::now() + kTurn;
  while (position_ < end_ && std::chrono::steady_clock::now() < until) {
    BLOCKPULL_CHECK(advance());
  }
  totals_.finished = position_ >= end_;
  return totals_;
}

Result<void> PullSurvey::advance() {
  if (position_ >= planned_until_) {
    BLOCKPULL_TRY(row, count_row());
    if (row.is_counted) {
      position_ += row.length;
      return {};
    }
    // The planner decides, also about errors: it never reads a layer that another one hides.
    const std::uint64_t row_bytes = ChainRows::kUnits * target_.active().cluster_size();
    const std::uint64_t row_end = round_down(position_, row_bytes) + row_bytes;
    const std::uint64_t run_end =
        round_down(position_ + row.length, target_.active().cluster_size());
    planned_until_ = std::min(std::max(row_end, run_end), end_);
    planner_.restrict_to(position_, planned_until_);
  }
  BLOCKPULL_TRY(step, planner_.next(limits::kPiece));
  BLOCKPULL_CHECK(count_step(step));
  position_ = step.at_end ? planned_until_ : position_;
  return {};
}

/// Counts the row at the position. If it cannot, gives the length of the uniform run there.
Result<PullSurvey::Row> PullSurvey::count_row() {
  const std::uint64_t cluster_size = target_.active().cluster_size();
  BLOCKPULL_TRY(own, planner_.walk().status(0, position_, end_ - position_));
  if (own.status != Status::kUnallocated && own.length >= ChainRows::kUnits * cluster_size) {
    // The layers below are not read at all.
    return Row{own.length, true};
  }
  const auto window = rows_.next(position_, end_);
  if (!window.ok()) {
    return Row{};
  }
  const bool is_run = window->count == 1;
  const std::uint64_t unit = is_run ? round_down(window->unit, cluster_size) : window->unit;
  if (unit < cluster_size || !find_moved(window->count)) {
    return Row{is_run ? window->unit : 0, false};
  }
  BLOCKPULL_CHECK(count_moved(unit));
  return Row{unit * window->count, true};
}

/// Marks the units that are data in an intermediate layer. False if zeros hide something of the
/// base, since the base then decides what they become.
bool PullSurvey::find_moved(std::size_t units) {
  is_open_.assign(units, 1);
  is_moved_.assign(units, 0);
  bool has_zeros = false;
  for (std::size_t layer = 0; layer < target_.base; ++layer) {
    const LayerRow row = rows_.row(layer);
    if (row.is_same() && row.same == Status::kUnallocated) {
      continue;
    }
    for (std::size_t unit = 0; unit < units; ++unit) {
      const Status status = row.is_same() ? row.same : row.statuses[unit];
      const bool has_data = status == Status::kData || status == Status::kCompressed;
      const bool is_asked = layer > 0 && is_open_[unit] != 0;
      has_zeros |= is_asked && status == Status::kZero;
      is_moved_[unit] |= is_asked && has_data ? 1 : 0;
      is_open_[unit] &= status == Status::kUnallocated ? 1 : 0;
    }
  }
  return !has_zeros || !target_.keeps_base();
}

/// Counts the marked units, each of `unit` bytes, from the position on.
Result<void> PullSurvey::count_moved(std::uint64_t unit) {
  const auto moved = static_cast<std::uint64_t>(std::count(is_moved_.begin(), is_moved_.end(), 1));
  totals_.bytes_to_move += moved * unit;
  totals_.bytes_to_allocate += moved * unit;
  const std::uint64_t clusters = unit / target_.active().cluster_size();
  GuestRun run{position_ / target_.active().cluster_size(), clusters};
  if (moved == 0 || run.first_cluster + is_moved_.size() * clusters <= surveyed_clusters_) {
    return {};
  }
  for (const std::uint8_t is_moved : is_moved_) {
    if (is_moved != 0 && run.first_cluster + run.count > surveyed_clusters_) {
      BLOCKPULL_CHECK(count_table(run));
    }
    run.first_cluster += clusters;
  }
  return {};
}

Result<void> PullSurvey::count_step(const PlanStep& step) {
  for (const Segment& segment : step.piece.segments) {
    totals_.bytes_to_move += segment.status == Status::kZero ? 0 : segment.length;
  }
  totals_.bytes_to_allocate += bytes_of(step.piece, target_.active().cluster_size());
  for (const GuestRun& run : step.piece.runs) {
    BLOCKPULL_CHECK(count_table(run));
  }
  // The zero clusters lie behind the piece.
  return step.zeros.count > 0 ? count_table(step.zeros) : Result<void>();
}

/// Counts the L2 tables that the run needs, that do not exist, and that no earlier run needed. All
/// states that lack one at a place share a new one.
Result<void> PullSurvey::count_table(const GuestRun& run) {
  image::Qcow2Image& active = target_.active();
  const image::qcow2::L1Table& l1 = states_.l1(0);
  const std::uint64_t end = run.first_cluster + run.count;
  std::uint64_t cluster = std::max(run.first_cluster, surveyed_clusters_);
  while (cluster < end) {
    const std::uint64_t index = l1.index_of(cluster);
    BLOCKPULL_TRY(tables, states_.tables_at(index));
    const bool is_lacking = std::any_of(tables.begin(), tables.end(),
                                        [](const auto& table) { return table.offset == 0; });
    totals_.bytes_to_allocate += is_lacking ? active.cluster_size() : 0;
    cluster = l1.first_cluster(index + 1);
    surveyed_clusters_ = cluster;
  }
  return {};
}

Result<PullSurvey::Totals> survey(const PullTarget& target, const WalkWatch& watch) {
  PullSurvey survey(target);
  watch.begin(WalkPhase::kTables, target.chain.active().virtual_size());
  for (;;) {
    BLOCKPULL_CHECK(watch.check());
    BLOCKPULL_TRY(totals, survey.next());
    watch.reach(survey.position());
    if (totals.finished) {
      return totals;
    }
  }
}

}  // namespace blockpull::driver
