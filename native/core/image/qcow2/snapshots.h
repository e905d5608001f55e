// SPDX-License-Identifier: Apache-2.0
//
// The table of internal snapshots, checked and not used: a layer with snapshots is read as it is
// now, but an image whose table cannot be right is refused as a whole, as QEMU does.
//
//     │ l1_offset 8 │ l1_size 4 │ id_len 2 │ name_len 2 │ … 16 … │ vm_state 4 │ extra_len 4 │
//     │ extra │ id │ name │        40 bytes and more, each entry at a multiple of 8

#pragma once

#include <string>

#include "core/base/result.h"
#include "core/image/qcow2/header.h"
#include "core/io/file.h"

namespace blockpull::image::qcow2 {

/// kImageCorrupt names the first entry that is out of bounds. Reads one entry's fixed part at a
/// time.
[[nodiscard]] Result<void> check_snapshot_table(io::File& file, const Header& header);

}  // namespace blockpull::image::qcow2
