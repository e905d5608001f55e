// SPDX-License-Identifier: Apache-2.0
//
// Compares what two guests would read, as `qemu-img compare` does. Where the disks have different
// sizes, they are equal if the rest of the longer one is zeros.
//
//     a   │ data │ zeros │ data at 5 of base.qcow2 │ …
//     b   │ data │ zeros │ data at 5 of base.qcow2 │ …
//           read   known   the same bytes of the same file
//
// Two overlays of one base are thus compared without reading the base. A large disk takes long, so
// it is done in steps; each step blocks while it reads.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/image/chain_walk.h"

namespace blockpull::image {

struct Comparison {
  /// The first guest byte that differs; absent: none does.
  std::optional<std::uint64_t> first_difference;
  /// The virtual sizes, in bytes.
  std::uint64_t a_size = 0;
  std::uint64_t b_size = 0;
};

/// One comparison in progress. The chains must stay until it is finished.
class GuestComparison {
 public:
  GuestComparison(const Chain& a, const Chain& b);

  /// Reads at least a cluster, and about `bytes`; runs that are known to be equal are skipped
  /// beyond that. False once the answer is known.
  [[nodiscard]] Result<bool> step(std::uint64_t bytes);

  /// Bytes compared so far, and how many there are.
  [[nodiscard]] std::uint64_t position() const { return offset_; }
  [[nodiscard]] std::uint64_t total() const { return end_; }

  /// To be called after step() returned false.
  [[nodiscard]] const Comparison& result() const { return result_; }

 private:
  /// One of the two disks, and what it reads at the position.
  struct Side {
    explicit Side(const Chain& side_chain)
        : chain(side_chain), walk(side_chain), size(side_chain.active().virtual_size()) {}

    const Chain& chain;
    ChainWalk walk;
    const std::uint64_t size;
    std::vector<std::byte> bytes;
  };

  /// The end of the run at the position that both sides are known to read alike; the position if
  /// it has to be read.
  [[nodiscard]] Result<std::uint64_t> known_equal_until(std::uint64_t end);
  [[nodiscard]] static Result<std::uint64_t> zeros_until(Side& side, std::uint64_t offset,
                                                         std::uint64_t end);
  [[nodiscard]] Result<std::uint64_t> same_place_until(std::uint64_t end);
  [[nodiscard]] static Result<void> read(Side& side, std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] Result<void> compare_bytes(std::uint64_t length);

  Side a_;
  Side b_;
  const std::uint64_t end_;
  std::uint64_t offset_ = 0;
  Comparison result_;
};

}  // namespace blockpull::image
