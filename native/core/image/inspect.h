// SPDX-License-Identifier: Apache-2.0
//
// A chain described for people and programs: what each layer is, how much it has, and how much of
// what the guest reads comes from it. Takes no lock and changes nothing; who has a layer open for
// writing is told.
//
// Thread rule: blocks for as long as the tables take to read, unless nobody wants the result any
// more; never call it on an event loop.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/walk_watch.h"
#include "core/image/chain.h"

namespace blockpull::image {

struct LayerInfo {
  std::string path;
  Format format = Format::kRaw;
  std::uint64_t virtual_size = 0;
  /// Bytes on disk (st_blocks), and the length of the file.
  std::uint64_t allocated_bytes = 0;
  std::uint64_t file_size = 0;
  /// 0 for raw.
  std::uint64_t cluster_size = 0;
  /// Guest bytes for which this layer answers, with data or zeros, when the guest reads the active
  /// image.
  std::uint64_t visible_bytes = 0;
  /// Guest bytes that this layer holds as data, compressed or not.
  std::uint64_t data_bytes = 0;
  /// As the header states it.
  std::optional<BackingReference> backing;
  /// Who has the file locked for writing, or empty (see io::find_writer).
  std::string in_use_by;
};

/// The layers of the chain at `path`, the active one first. `options.lock_for_pull` is not looked
/// at. kCancelled where nobody wants it any more.
[[nodiscard]] Result<std::vector<LayerInfo>> inspect_chain(const std::string& path,
                                                           ChainOptions options,
                                                           const WalkWatch& watch);

}  // namespace blockpull::image
