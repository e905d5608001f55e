// SPDX-License-Identifier: Apache-2.0
//
// Compares the counted references with the stored refcounts, a row of clusters at a time.
//
//     stored > counted    a leak: the cluster is never freed
//     stored < counted    an error: the next allocation overwrites something in use
//
// Each cluster counts once. As in QEMU, refcounts behind the last cluster of the file are not
// compared: the space does not exist.

#pragma once

#include <cstdint>

#include "core/base/walk_watch.h"
#include "core/image/qcow2/check/findings.h"
#include "core/image/qcow2/check/stored_refcounts.h"
#include "core/image/qcow2/references.h"

namespace blockpull::image::qcow2 {

/// Returns one past the last cluster that has a reference or a refcount.
[[nodiscard]] Result<std::uint64_t> compare_refcounts(const ReferenceMap& counted,
                                                      StoredRefcounts& stored, Findings& findings,
                                                      const WalkWatch& watch);

}  // namespace blockpull::image::qcow2
