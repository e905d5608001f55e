// SPDX-License-Identifier: Apache-2.0
//
// Inflates the compressed clusters of a piece that lie behind it in its buffer.
//
//     buffer   │ clusters of the piece      │ staging: compressed bytes │
//                 ▲         ▲                    │           │
//                 └─────────┴──── inflated ──────┴───────────┘
//
// Parts of one compressed cluster lie side by side in `segments`, so it is inflated once for all of
// them. Thread rule: any thread; nobody else touches piece and buffer meanwhile.

#pragma once

#include "core/image/chain.h"
#include "driver/plan/piece.h"

namespace blockpull::driver {

[[nodiscard]] Result<void> inflate_segments(const image::Chain& chain, const Piece& piece,
                                            std::byte* buffer);

}  // namespace blockpull::driver
