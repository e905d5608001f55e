// SPDX-License-Identifier: Apache-2.0
//
// The directory of persistent bitmaps (section "Bitmaps extension").
//
//     │ table_offset 8 │ table_size 4 │ flags 4 │ type 1 │ granularity 1 │ name_len 2 │
//     │ extra_len 4 │ extra │ name │     24 bytes and more, each entry at a multiple of 8
//
//     table entry    63…56 reserved │ 55…9 offset of a cluster of bits │ 8…1 reserved │ 0 all ones
//                                     if the offset is 0: all bits are 0, or 1 if bit 0 is set

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/qcow2/header.h"
#include "core/io/file.h"

namespace blockpull::image::qcow2 {

inline constexpr std::uint64_t kBitmapReserved = 0xff000000000001fe;
inline constexpr std::uint64_t kBitmapAllOnes = 1;

namespace bitmap_flag {
/// The bitmap was not saved: its bits are not valid.
inline constexpr std::uint32_t kInUse = 1U << 0U;
/// It records writes.
inline constexpr std::uint32_t kAuto = 1U << 1U;
/// QEMU knows no others; the specification has a third.
inline constexpr std::uint32_t kKnown = 0x3;
}  // namespace bitmap_flag

struct Bitmap {
  std::string name;
  std::uint64_t table_offset = 0;
  std::uint32_t table_entries = 0;
  std::uint32_t flags = 0;
  /// Guest bytes for each bit.
  std::uint64_t granularity = 0;
};

/// The bitmaps of an image whose header states them as valid; empty if it states none.
/// kImageCorrupt names the first entry that cannot be right.
[[nodiscard]] Result<std::vector<Bitmap>> read_bitmaps(io::File& file, const Header& header);

}  // namespace blockpull::image::qcow2
