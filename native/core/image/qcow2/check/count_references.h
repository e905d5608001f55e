// SPDX-License-Identifier: Apache-2.0
//
// Counts what the tables of an image refer to, and finds what is wrong with them:
//
//     header ── every L1 table ── every L2 table, once ──▶ references of each host cluster
//            ── bitmaps, snapshot table, LUKS header ────▶ findings: entries that cannot be right
//            ── refcount table and blocks ───────────────▶
//
// The stored refcounts serve only to judge the copied flags.
//
// Thread rule: one thread at a time. Blocks for the reads; only reads.

#pragma once

#include <cstdint>
#include <vector>

#include "core/base/walk_watch.h"
#include "core/image/qcow2/check/entry_check.h"
#include "core/image/qcow2/check/findings.h"
#include "core/image/qcow2/check/stored_refcounts.h"
#include "core/image/qcow2/l1_table.h"
#include "core/image/qcow2/references.h"

namespace blockpull::image::qcow2 {

struct CountedReferences {
  ReferenceMap map;
  Findings findings;
  /// The L1 tables, the active one first, and the L2 tables, each once.
  std::vector<L1Table> l1_tables;
  std::vector<L2Table> tables;
  /// As the header counts them.
  std::uint32_t bitmaps = 0;
  /// Clusters of the active disk with space in the file, and the compressed ones among them.
  std::uint64_t allocated_clusters = 0;
  std::uint64_t compressed_clusters = 0;
};

/// `stored` is of the same image. Errors as check().
[[nodiscard]] Result<CountedReferences> count_references(Qcow2Image& image, StoredRefcounts& stored,
                                                         const WalkWatch& watch);

}  // namespace blockpull::image::qcow2
