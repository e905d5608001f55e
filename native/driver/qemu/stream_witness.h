// SPDX-License-Identifier: Apache-2.0
//
// The other road by which a stream's result is confirmed: the files themselves, read beside QEMU.
//
//     at pending      is there a guest byte that the active image lacks
//                     and a layer that is to drop out has?               must be 0
//     after the end   what does the header state, and does that open?    must be the promise
//
// The first is a safe question while the guest writes, once QEMU has flushed its tables: writes and
// discards of a guest only make the active image have more. So what it shows as lacking is asked
// about again, and only what lacks then as well does lack.
//
// Only reading is done, without locks. Marks that keep our engine from writing (dirty, bitmaps in
// use, extended L2) do not matter to it.
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
    /// Guest offset of the first of them.
    std::uint64_t first = 0;
    bool finished = false;
  };

  /// `layers`: the chain before the stream, top first; those from `base` on stay. Fails with the
  /// reason why they cannot be read, or not be shown to be QEMU's.
  [[nodiscard]] static Result<std::unique_ptr<StreamWitness>> open(
      const std::vector<BlockNode>& layers, std::size_t base);

  /// Walks on for some ms; to be called until `finished`.
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
  /// How the base is named; absent where an earlier process chose the name.
  std::optional<std::string> backing_name;
  /// The layer of that name, where one stays.
  std::optional<BlockNode> base;
};

/// kJobFailed where a header that states this name, or none, is not as promised.
[[nodiscard]] Result<void> check_stated(const PromisedHeader& promised,
                                        const std::optional<std::string>& stated);

/// Why the header on the disk could not be read, or "" where it is as promised; kJobFailed with
/// what it states instead.
[[nodiscard]] Result<std::string> read_back(const PromisedHeader& promised);

}  // namespace blockpull::driver::qemu
