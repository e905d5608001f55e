// SPDX-License-Identifier: Apache-2.0
//
// What a disk may contain after the power has failed.
//
// What came before the last sync that returned is there. Of every change after it, each part that a
// disk writes whole (a sector of a write, a change of the length) is there or is not, whatever
// became of the others: a kept later change without an earlier one is a reordered write, a kept
// sector without its neighbour a torn one. Kept parts of one sector happen in the order of the log.
// That allows more states than a real disk has, never fewer.
//
//     log    w w S w w p S w w w            S a sync, ▲ the crash
//            └─durable─────┘ └─┴─┴ pending  ▲

#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "faults/recording_file.h"

namespace blockpull::faults {

/// A part of a change that is there whole or not at all.
struct Fragment {
  const Change* change = nullptr;
  /// kWrite, kPunch: which bytes of the disk.
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  /// The write made the file longer. One that did not shows no bytes behind an end that the disk
  /// has from before.
  bool grows = false;
};

/// One flag for each pending fragment: whether the disk has it.
using Kept = std::vector<bool>;

struct CrashPoint {
  Content durable;
  std::vector<Fragment> pending;

  [[nodiscard]] Content state(const Kept& kept) const;
};

/// Every point at which the power can fail, in the order of the log.
class CrashWalk {
 public:
  /// `log` must outlive the walk.
  CrashWalk(Content start, const std::vector<Change>& log);

  /// The point after the next entry of the log; false at the end. Before the first call, the point
  /// is the start.
  bool next();
  [[nodiscard]] const CrashPoint& here() const { return here_; }

 private:
  const std::vector<Change>& log_;
  std::size_t position_ = 0;
  /// Of the file, after the entries so far.
  std::uint64_t size_ = 0;
  CrashPoint here_;
};

/// Which subsets of `pending` fragments to look at: all of them when there are at most 8 fragments;
/// else nothing, all, some with one lost, some with one alone, and some at random, `most` in all.
[[nodiscard]] std::vector<Kept> choose_subsets(std::size_t pending, std::size_t most,
                                               std::mt19937_64& random);

}  // namespace blockpull::faults
