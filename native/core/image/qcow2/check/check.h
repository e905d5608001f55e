// SPDX-License-Identifier: Apache-2.0
//
// Checks a qcow2 image: whether its refcounts are what its tables need, and whether its tables can
// be right. Errors and leaks are counted as `qemu-img check` counts them (block/qcow2-refcount.c),
// internal snapshots and persistent bitmaps included.
//
//     every table (count_references.h) ──▶ references of each host cluster
//                                               │ equal? (compare_refcounts.h)
//     refcount table ── blocks ──────────▶ stored refcounts
//
// Nothing that is read is trusted: a damaged image gives findings. Only the errors that check()
// names end it without a report.
//
// Thread rule: one thread at a time. Blocks for the reads; only reads.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/walk_watch.h"
#include "core/image/qcow2/check/count_references.h"
#include "core/io/file.h"

namespace blockpull::image::qcow2 {

struct CheckReport {
  std::uint64_t errors = 0;
  std::uint64_t leaks = 0;
  std::uint64_t notes = 0;
  /// The first of each severity.
  std::vector<Finding> findings;
  /// Of the disk, in its own clusters: all, those with space in the file, and the compressed ones.
  std::uint64_t total_clusters = 0;
  std::uint64_t allocated_clusters = 0;
  std::uint64_t compressed_clusters = 0;
  std::uint64_t cluster_size = 0;
  /// As the header counts them.
  std::uint32_t snapshots = 0;
  std::uint32_t bitmaps = 0;
  /// One past the last host cluster that has a reference or a refcount, in bytes.
  std::uint64_t image_end = 0;
};

/// kImageCorrupt: the header or the snapshot table cannot be right, or L1 tables, or unaligned L2
/// tables, are together larger than the file. kFeatureUnsupported: an unknown feature, or tables
/// over a limit. kCancelled if nobody wants the result any more.
[[nodiscard]] Result<CheckReport> check(std::unique_ptr<io::File> file, const WalkWatch& watch);

struct Checked {
  CheckReport report;
  CountedReferences counted;
};

/// The same for a repair, which needs the counts. `stored` is of the same image.
[[nodiscard]] Result<Checked> check(Qcow2Image& image, StoredRefcounts& stored,
                                    const WalkWatch& watch);

}  // namespace blockpull::image::qcow2
