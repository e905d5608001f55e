// SPDX-License-Identifier: Apache-2.0
//
// An extended L2 entry: what a link makes of it, and how it is read and written. 16 bytes, aligned,
// so it lies within one sector and a crash never tears it.
//
//              │ host offset, copied │ reads as zeros │ allocated │
//     old      │ 0                   │ ······██       │ ········  │   subclusters 6, 7: zeros
//     link     │ h                   │ ········       │ ·██·····  │   a new host cluster
//     new      │ h                   │ ······██       │ ·██·····  │   the others stay missing
//
//     old      │ h                   │ ········       │ ███·····  │
//     link     │ h, in place         │ ········       │ ···██···  │   nobody reads what is missing
//     new      │ h                   │ ········       │ █████···  │   in h, so it was written there
//
// A link decides only about subclusters that are missing in the old entry.

#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/image/qcow2/link_runs.h"
#include "core/image/qcow2/qcow2_image.h"
#include "core/image/qcow2/subclusters.h"

namespace blockpull::image::qcow2 {

struct ExtendedEntry {
  std::uint64_t word = 0;
  std::uint64_t bitmap = 0;

  [[nodiscard]] bool is_compressed() const { return (word & kCompressed) != 0; }
  [[nodiscard]] bool has_host() const { return !is_compressed() && (word & kOffsetMask) != 0; }
};

/// The entry of cluster `index` of `run` after the link. Absent if the old entry does not leave
/// room for it: another program has changed it.
[[nodiscard]] std::optional<ExtendedEntry> linked_entry(const ExtendedEntry& old,
                                                        const LinkRun& run, std::uint64_t index,
                                                        std::uint32_t cluster_bits);

/// The entry at the beginning of `entry`, 16 bytes.
[[nodiscard]] ExtendedEntry load_extended(std::span<const std::byte> entry);
void store_extended(std::span<std::byte> entry, const ExtendedEntry& value);

/// The entry of a guest cluster; all zeros if it has no L2 table.
[[nodiscard]] Result<ExtendedEntry> find_extended(Qcow2Image& image, std::uint64_t guest_cluster);

}  // namespace blockpull::image::qcow2
