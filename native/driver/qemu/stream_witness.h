// SPDX-License-Identifier: Apache-2.0
//
// An independent check of a stream's result: the files themselves, read beside QEMU.
//
//     at pending      is there a guest byte that the active image lacks
//                     and a layer that is to drop out has?               must be 0
//     after the end   what does the header state, and does that open?    must be the promise
//
// The first check is safe while the guest writes, once QEMU has flushed its tables: writes and
// discards of a guest only make the active image have more. So bytes that seem to be missing are
// checked again, and only bytes that are missing both times count.
//
// The files are only read, without locks. Marks that keep our engine from writing (dirty, bitmaps
// in use, extended L2) do not matter here.
//
// Thread rule: one thread at a time, on one that may block.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/image/chain.h"
#include "core/image/chain_walk.h"
#include "driver/qemu/block_graph.h"

namespace blockpull::driver::qemu {

class StreamWitness {
 public:
  struct Lacking {
    std::uint64_t bytes = 0;
    /// Guest offset of the first missing byte.
    std::uint64_t first = 0;
    bool finished = false;
  };

  /// `layers`: the chain before the stream, top first; the layers from `base` on stay. Fails with
  /// the reason if they cannot be read, or cannot be shown to be QEMU's.
  [[nodiscard]] static Result<std::unique_ptr<StreamWitness>> open(
      const std::vector<BlockNode>& layers, std::size_t base);

  /// Continues the walk for some ms; call it until `finished`.
  [[nodiscard]] Result<Lacking> next();

 private:
  StreamWitness(image::Chain chain, std::size_t base);

  [[nodiscard]] Result<std::uint64_t> step();
  void add_lacking(std::uint64_t length);

  const image::Chain chain_;
  const std::size_t base_;
  image::ChainWalk walk_;
  const std::uint64_t end_;
  std::uint64_t position_ = 0;
  Lacking lacking_;
};

/// What the header of the active image must state at the end.
struct PromisedHeader {
  BlockNode top;
  bool keeps_base = false;
  /// The base's name; absent if an earlier process chose the name.
  std::optional<std::string> backing_name;
  /// The layer with that name, if one stays.
  std::optional<BlockNode> base;
};

/// kJobFailed if a header that states this name, or none, is not as promised.
[[nodiscard]] Result<void> check_stated(const PromisedHeader& promised,
                                        const std::optional<std::string>& stated);

/// Why the header on the disk could not be read, or "" if it is as promised; kJobFailed with what
/// it states instead.
[[nodiscard]] Result<std::string> read_back(const PromisedHeader& promised);

}  // namespace blockpull::driver::qemu
