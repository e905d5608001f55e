// SPDX-License-Identifier: Apache-2.0

#include "driver/pull_survey.h"

#include <chrono>

#include "core/base/limits.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::driver {
namespace {

using image::Status;

/// A call of next() lasts about so long: a cancel waits for it.
constexpr std::chrono::milliseconds kTurn{20};

}  // namespace

PullSurvey::PullSurvey(const PullTarget& target)
    : target_(target), planner_(target.chain, target.base, target.can_write_zero_clusters()) {}

Result<PullSurvey::Totals> PullSurvey::next() {
  const auto until = std::chrono::steady_clock::now() + kTurn;
  while (!totals_.finished && std::chrono::steady_clock::now() < until) {
    BLOCKPULL_TRY(step, planner_.next(limits::kPiece));
    BLOCKPULL_CHECK(count_step(step));
    totals_.finished = step.at_end;
  }
  return totals_;
}

Result<void> PullSurvey::count_step(const PlanStep& step) {
  if (step.zeros.count > 0) {
    BLOCKPULL_CHECK(count_table(step.zeros));
  }
  for (const Segment& segment : step.piece.segments) {
    totals_.bytes_to_move += segment.status == Status::kZero ? 0 : segment.length;
  }
  totals_.bytes_to_allocate += step.piece.clusters * target_.active().cluster_size();
  for (const GuestRun& run : step.piece.runs) {
    BLOCKPULL_CHECK(count_table(run));
  }
  return {};
}

/// Adds the L2 tables that the run needs and that are not there.
Result<void> PullSurvey::count_table(const GuestRun& run) {
  const image::qcow2::Header& header = target_.active().header();
  const std::uint64_t first = run.first_cluster / header.l2_entries();
  const std::uint64_t last = (run.first_cluster + run.count - 1) / header.l2_entries();
  for (std::uint64_t table = first; table <= last; ++table) {
    if (table == surveyed_table_) {
      continue;
    }
    surveyed_table_ = table;
    BLOCKPULL_TRY(entry, target_.active().tables().load(header.l1_offset +
                                                        table * image::qcow2::kEntryBytes));
    totals_.bytes_to_allocate += entry == 0 ? header.cluster_size() : 0;
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
