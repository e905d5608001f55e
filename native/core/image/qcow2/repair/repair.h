// SPDX-License-Identifier: Apache-2.0
//
// Mends the refcounts and copied flags of an image. Nothing that a guest or a snapshot reads
// changes: no offset of any entry, no data, no snapshot, no bitmap.
//
//     found                                       kLeaks            kAll
//     ────────────────────────────────────────────┼─────────────────┼──────────────────────────────
//     leaks                                       │ lowered in place, if there are no errors
//     refcounts too low, refcount blocks          │ nothing         │ all refcounts written anew
//     copied flags                                │ nothing         │ cleared first, set last
//     anything else: entries that cannot be right │ nothing         │ left; no refcount is lowered,
//                                                 │                 │ and no flag is set
//
// An entry that cannot be right is never guessed at. It may have meant any cluster, so while there
// is one, nothing is freed or declared unshared; the same holds for an unknown feature, which may
// own space. New refcounts are not written where an entry or another program may have something.
//
// Crash story: at any instant, each refcount that is in use is at least as high as before the
// repair or as the number of references, and no cluster with more than one reference gets a copied
// flag. A repair that died can be run again.
//
// Thread rule: one thread at a time, and it blocks.

#pragma once

#include "core/base/walk_watch.h"
#include "core/image/qcow2/check/check.h"

namespace blockpull::image::qcow2 {

enum class RepairScope : std::uint8_t { kLeaks, kAll };

/// What `image` reads must be durable. Returns what was found before. Durable when it returns.
/// Nothing was written: kImageCorrupt if refcounts have to be written anew and an entry refers to a
/// place behind the end of the file; kFeatureUnsupported if another program's bytes are there.
/// Otherwise errors as check().
[[nodiscard]] Result<CheckReport> repair(Qcow2Image& image, RepairScope scope,
                                         const WalkWatch& watch);

}  // namespace blockpull::image::qcow2
