// SPDX-License-Identifier: Apache-2.0
//
// Inflates the compressed clusters of a piece that lie behind it in its buffer.
//
//     buffer   │ clusters of the piece      │ staging: compressed bytes │
//                 ▲         ▲                    │           │
//                 └─────────┴──── inflated ──────┴───────────┘
//
// Parts of one compressed cluster are adjacent in `segments`, so it is inflated once for all of
// them. Thread rule: any thread, with exclusive use of the piece and its buffer.

#pragma once

#include "core/image/chain.h"
#include "driver/plan/piece.h"

namespace blockpull::driver {

[[nodiscard]] Result<void> inflate_segments(const image::Chain& chain, const Piece& piece,
                                            std::byte* buffer);

}  // namespace blockpull::driver
