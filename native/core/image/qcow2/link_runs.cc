// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/link_runs.h"

#include <algorithm>
#include <utility>

namespace blockpull::image::qcow2 {

bool LinkRun::is_continued_by(const LinkRun& next) const {
  return zero == next.zero && in_place == next.in_place && bitmap == next.bitmap &&
         references == next.references && guest_cluster + count == next.guest_cluster &&
         (zero || host_cluster + count == next.host_cluster);
}

void LinkRuns::add(const LinkRun& run) {
  if (!runs_.empty() && runs_.back().is_continued_by(run)) {
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
