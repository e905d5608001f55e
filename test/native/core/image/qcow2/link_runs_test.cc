// SPDX-License-Identifier: Apache-2.0
//
// Which clusters form one run: neighbours in the guest and in the file, whether they are added one
// by one, come with another piece, or meet when the runs are sorted.

#include "core/image/qcow2/link_runs.h"

#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace blockpull::image::qcow2 {
namespace {

using Listed = std::vector<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, bool>>;

Listed listed(const LinkRuns& runs) {
  Listed list;
  for (const LinkRun& run : runs) {
    list.emplace_back(run.guest_cluster, run.count, run.host_cluster, run.zero);
  }
  return list;
}

TEST(LinkRuns, ClustersNotAdjacentInBothAreSeparateRuns) {
  LinkRuns runs;
  runs.add({7, 1, 40, false});
  runs.add({9, 1, 41, false});
  runs.add({10, 1, 43, false});
  runs.add({11, 1, 0, true});
  EXPECT_EQ(listed(runs),
            (Listed{{7, 1, 40, false}, {9, 1, 41, false}, {10, 1, 43, false}, {11, 1, 0, true}}));
}

TEST(LinkRuns, NeighboursAreOneRunAndZerosNeedNoPlaceInTheFile) {
  LinkRuns runs;
  runs.add({7, 1, 40, false});
  runs.add({8, 2, 41, false});
  runs.add({10, 1, 0, true});
  runs.add({11, 3, 0, true});
  EXPECT_EQ(listed(runs), (Listed{{7, 3, 40, false}, {10, 4, 0, true}}));
}

TEST(LinkRuns, AppendExtendsTheLastRunAndEmptiesItsSource) {
  LinkRuns runs;
  runs.add({7, 1, 40, false});
  LinkRuns more;
  more.add({8, 1, 41, false});
  more.add({20, 1, 50, false});
  runs.append(std::move(more));
  EXPECT_EQ(listed(runs), (Listed{{7, 2, 40, false}, {20, 1, 50, false}}));
  EXPECT_TRUE(more.empty());  // NOLINT(bugprone-use-after-move)
}

TEST(LinkRuns, SortMergesAdjacentRuns) {
  LinkRuns runs;
  runs.add({9, 1, 42, false});
  runs.add({7, 2, 40, false});
  runs.add({3, 1, 0, true});
  runs.add({2, 1, 60, false});
  runs.sort();
  EXPECT_EQ(listed(runs), (Listed{{2, 1, 60, false}, {3, 1, 0, true}, {7, 3, 40, false}}));
}

}  // namespace
}  // namespace blockpull::image::qcow2
