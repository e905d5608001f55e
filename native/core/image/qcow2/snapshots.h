// SPDX-License-Identifier: Apache-2.0
//
// The table of internal snapshots, which is only checked. A layer with snapshots is read in its
// present state. As in QEMU, an image whose snapshot table cannot be right is refused as a whole.
//
//     │ l1_offset 8 │ l1_size 4 │ id_len 2 │ name_len 2 │ … 16 … │ vm_state 4 │ extra_len 4 │
//     │ extra │ id │ name │        40 bytes and more, each entry at a multiple of 8

#pragma once

#include <string>

#include "core/base/result.h"
#include "core/image/qcow2/header.h"
#include "core/io/file.h"

namespace blockpull::image::qcow2 {

/// kImageCorrupt names the first entry that is out of bounds. Reads the fixed part of one entry at
/// a time.
[[nodiscard]] Result<void> check_snapshot_table(io::File& file, const Header& header);

}  // namespace blockpull::image::qcow2
