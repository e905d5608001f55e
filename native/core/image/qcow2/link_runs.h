// SPDX-License-Identifier: Apache-2.0
//
// The links to make, in runs. Clusters that are adjacent in the guest and in the file are one run;
// only this file decides that.
//
//     add     c7 ▸ h40   c8 ▸ h41   c9 ▸ h50       ─▶   (c7, 2 ▸ h40)  (c9, 1 ▸ h50)
//     append  the runs of one piece, behind those of others; pieces end in any order
//     sort    by guest cluster; runs that become adjacent are merged
//
// Runs are passed on by moving the object: one commit may have a hundred thousand of them.

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
  /// The entries refer to the host clusters already: only `bitmap` is new.
  bool in_place = false;
  /// Of extended L2 entries: the bits that each gets (subclusters.h).
  std::uint64_t bitmap = 0;
  /// How many references each host cluster gets: as many as states of the disk lack it.
  std::uint64_t references = 1;

  /// Whether the run takes host clusters that nothing referred to before.
  [[nodiscard]] bool takes_clusters() const { return !zero && !in_place; }
};

class LinkRuns {
 public:
  /// Extends the last run if this one continues it.
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
