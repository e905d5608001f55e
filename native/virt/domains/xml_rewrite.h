// SPDX-License-Identifier: Apache-2.0
//
// What a pull changes in domain XML: the <backingStore> of that disk, where the XML states one.
//
//     <backingStore type='file'> A <backingStore type='file'> B <backingStore/> … </backingStore>
//       all pulled      ─▶  <backingStore/>
//       pulled down to B ─▶  <backingStore type='file'> B <backingStore/> …
//
// Every byte outside that one element is kept: comments, quoting, white space, unknown elements.
// The element is therefore cut out of the text by offsets, not printed again from a tree. A disk
// that states no chain gets none. These are functions over text; they ask the system only whether
// two names are one file.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "driver/pull.h"
#include "virt/words/error_map.h"

namespace blockpull::virt {

struct DiskBacking {
  std::string_view target;
  /// What <source> must still say; otherwise the disk was changed since, and is not touched.
  std::string_view source;
  /// Absent: the active image stands on its own.
  std::optional<driver::KeptLayer> backing;
  /// Only remove the layers that the XML states above `backing`. If it states none there, change
  /// nothing.
  bool only_drops = false;
};

/// The new text; absent when there is nothing to change.
[[nodiscard]] blockpull::Result<std::optional<std::string>> rewrite_backing_store(
    std::string_view xml, const DiskBacking& disk);

}  // namespace blockpull::virt
