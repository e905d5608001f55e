// SPDX-License-Identifier: Apache-2.0
//
// Describes a chain for people and programs: what each layer is, how much it has, and how much of
// what the guest reads comes from it. It takes no lock and changes nothing, and reports which
// process has a layer open for writing.
//
// Thread rule: blocks while the tables are read, unless nobody wants the result any more; never
// call it on an event loop.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/walk_watch.h"
#include "core/image/chain.h"
#include "core/image/facts.h"

namespace blockpull::image {

struct LayerInfo : ImageFacts {
  /// 0 for raw.
  std::uint64_t cluster_size = 0;
  /// Guest bytes that come from this layer, as data or zeros, when the guest reads the active
  /// image.
  std::uint64_t visible_bytes = 0;
  /// Guest bytes that this layer holds as data, compressed or not.
  std::uint64_t data_bytes = 0;
};

/// The layers of the chain at `path`, the active one first. Ignores `options.lock_for_pull`.
/// kCancelled if nobody wants the result any more.
[[nodiscard]] Result<std::vector<LayerInfo>> inspect_chain(const std::string& path,
                                                           ChainOptions options,
                                                           const WalkWatch& watch);

}  // namespace blockpull::image
