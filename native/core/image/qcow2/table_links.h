// SPDX-License-Identifier: Apache-2.0
//
// Distributes links over the L2 tables of all states of the disk: a cluster is linked in each table
// that lacks it, and gets as many references as states have these tables.
//
//     link c1…c3 ▸ h7…h9            c1   c2   c3
//     table A of states 0, 1        █    ·    ·         A   c2 ▸ h8   c3 ▸ h9
//     table B of state 2            ·    █    ·         B   c1 ▸ h7   c3 ▸ h9
//                                                       references   h7 1   h8 2   h9 3
//
// Without snapshots there is one table, and the run goes there as it is.
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include <cstdint>
#include <vector>

#include "core/image/qcow2/disk_states.h"
#include "core/image/qcow2/link_runs.h"

namespace blockpull::image::qcow2 {

/// The links to make in one table.
struct TableLinks {
  std::uint64_t l1_index = 0;
  SharedTable table;
  /// In the order of guest clusters.
  LinkRuns runs;
};

/// Cuts sorted runs at the boundaries of L2 tables, and distributes them. kImageCorrupt if no table
/// lacks a cluster: another program has allocated it.
[[nodiscard]] Result<std::vector<TableLinks>> distribute_links(Qcow2Image& image,
                                                               const DiskStates& states,
                                                               const LinkRuns& runs);

/// A cluster that was to be linked is allocated.
[[nodiscard]] Error allocated_meanwhile(const std::string& path, std::uint64_t guest_cluster);

}  // namespace blockpull::image::qcow2
