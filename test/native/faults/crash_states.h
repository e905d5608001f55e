// SPDX-License-Identifier: Apache-2.0
//
// What a disk may contain after a power failure.
//
// Everything before the last sync that returned is there. A disk writes certain parts atomically: a
// sector of a write, or a change of the length. Each such part of a later change is there or not,
// independently of all others. A later change without an earlier one is a reordered write; a sector
// without its neighbour is a torn one. Kept parts of one sector happen in the order of the log.
// This allows more states than a real disk has, never fewer.
//
//     log    w w S w w p S w w w            S a sync, ▲ the crash
//            └─durable─────┘ └─┴─┴ pending  ▲

#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "faults/recording_file.h"

namespace blockpull::faults {

/// A part of a change that is there completely or not at all.
struct Fragment {
  const Change* change = nullptr;
  /// kWrite, kPunch: which bytes of the disk.
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  /// The write made the file longer. A write that did not must not show bytes behind the end that
  /// the disk already has.
  bool grows = false;
};

/// One flag for each pending fragment: whether the disk has it.
using Kept = std::vector<bool>;

struct CrashPoint {
  Content durable;
  std::vector<Fragment> pending;

  [[nodiscard]] Content state(const Kept& kept) const;
};

/// Visits every point at which the power can fail, in the order of the log.
class CrashWalk {
 public:
  /// `log` must outlive the walk.
  CrashWalk(Content start, const std::vector<Change>& log);

  /// Moves to the point after the next entry of the log; false at the end. Before the first call,
  /// the point is the start.
  bool next();
  [[nodiscard]] const CrashPoint& here() const { return here_; }

 private:
  const std::vector<Change>& log_;
  std::size_t position_ = 0;
  /// Size of the file after the entries so far.
  std::uint64_t size_ = 0;
  CrashPoint here_;
};

/// Chooses the subsets of `pending` fragments to examine: all of them if there are at most 8
/// fragments. Otherwise none, all, some with one lost, some with one alone, and some random ones,
/// `most` in all.
[[nodiscard]] std::vector<Kept> choose_subsets(std::size_t pending, std::size_t most,
                                               std::mt19937_64& random);

}  // namespace blockpull::faults
