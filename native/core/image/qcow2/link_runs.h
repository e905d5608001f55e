// SPDX-License-Identifier: Apache-2.0
//
// What is to be linked, in runs. Clusters that are neighbours in the guest and in the file are one
// run, and this is the one place that says so.
//
//     add     c7 ▸ h40   c8 ▸ h41   c9 ▸ h50       ─▶   (c7, 2 ▸ h40)  (c9, 1 ▸ h50)
//     append  what one piece has made, behind what others have; they end in any order
//     sort    by guest cluster; what has become neighbouring then is one run as well
//
// Runs are handed on by moving the object: one commit may have a hundred thousand of them.

#pragma once

#include <cstdint>
#include <vector>

namespace blockpull::image::qcow2 {

/// Guest clusters [guest_cluster, guest_cluster + count) become host clusters in the same order, or
/// zeros.
struct LinkRun {
  std::uint64_t guest_cluster = 0;
  std::uint64_t count = 0;
  std::uint64_t host_cluster = 0;
  bool zero = false;
};

class LinkRuns {
 public:
  /// As a part of the last run where it continues it.
  void add(const LinkRun& run);

  void append(LinkRuns&& more);

  void sort();

  [[nodiscard]] bool empty() const { return runs_.empty(); }
  [[nodiscard]] std::size_t size() const { return runs_.size(); }
  [[nodiscard]] std::vector<LinkRun>::const_iterator begin() const { return runs_.begin(); }
  [[nodiscard]] std::vector<LinkRun>::const_iterator end() const { return runs_.end(); }

 private:
  std::vector<LinkRun> runs_;
};

}  // namespace blockpull::image::qcow2
