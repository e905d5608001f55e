// SPDX-License-Identifier: Apache-2.0
//
// What a pull must know of the active image before it writes: how often each host cluster is
// referred to, and that every table which it will change is what it seems to be.
//
//     plain image                 find_references(): everything has one owner, or is refused
//     with snapshots, bitmaps,    count_references(): everything is counted, and then
//     extended L2                   no error, and no L2 table used for two places
//                                   nothing else lies in the header or in a table
//                                   with subclusters, every data cluster has one owner
//
// Thread rule: one thread at a time, and it may block. Only reads.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "core/base/wanted.h"
#include "core/image/qcow2/references.h"

namespace blockpull::image::qcow2 {

/// Errors as find_references().
[[nodiscard]] Result<ReferenceMap> find_used_clusters(Qcow2Image& image, const IsWanted& is_wanted);

using IsSought = std::function<bool(std::uint64_t cluster)>;

/// The first of the clusters sought that the active disk refers to as an L2 table or as plain data.
[[nodiscard]] Result<std::optional<std::uint64_t>> first_in_active_disk(Qcow2Image& image,
                                                                        const IsSought& is_sought);

}  // namespace blockpull::image::qcow2
