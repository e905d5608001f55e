// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/link_runs.h"

#include <algorithm>
#include <utility>

namespace blockpull::image::qcow2 {
namespace {

/// Whether `next` makes `run` longer.
bool continues(const LinkRun& run, const LinkRun& next) {
  return run.zero == next.zero && run.in_place == next.in_place && run.bitmap == next.bitmap &&
         run.references == next.references && run.guest_cluster + run.count == next.guest_cluster &&
         (run.zero || run.host_cluster + run.count == next.host_cluster);
}

}  // namespace

void LinkRuns::add(const LinkRun& run) {
  if (!runs_.empty() && continues(runs_.back(), run)) {
    runs_.back().count += run.count;
    return;
  }
  runs_.push_back(run);
}

void LinkRuns::append(LinkRuns&& more) {
  if (runs_.empty()) {
    runs_.swap(more.runs_);
    return;
  }
  for (const LinkRun& run : std::exchange(more.runs_, {})) {
    add(run);
  }
}

void LinkRuns::sort() {
  std::vector<LinkRun> sorted = std::exchange(runs_, {});
  std::sort(sorted.begin(), sorted.end(),
            [](const LinkRun& a, const LinkRun& b) { return a.guest_cluster < b.guest_cluster; });
  for (const LinkRun& run : sorted) {
    add(run);
  }
}

}  // namespace blockpull::image::qcow2
