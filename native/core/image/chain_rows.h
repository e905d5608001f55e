// SPDX-License-Identifier: Apache-2.0
//
// Layers of a chain side by side, for walks that only need the status of each cluster in each
// layer. A fragmented disk has a run for every cluster, far too many to return one by one. If runs
// are short, a whole row of clusters is returned at once.
//
//     unit       0   1   2   3   4   5 …              one window
//     layer 0  │ D │   │ D │   │ D │   │ …   a row: its runs are short here
//     layer 1  │            Z            │   one status for all: its run reaches behind the window
//     layer 2  │        (it has ended)   │   reads as zeros, and hides deeper layers
//
// A unit is a cluster of that layer with short runs whose clusters are smallest. If no layer has
// short runs, or runs end inside a unit, the window is one unit as long as the shortest run. A
// sparse disk of many terabytes is thus a few windows.
//
// It shares the answers of a ChainWalk. No table slice is read again when a window ends inside it,
// or when the same place is walked by runs. Thread rule: one thread at a time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/image/chain_walk.h"

namespace blockpull::image {

/// The status of the units of a window in one layer.
struct LayerRow {
  /// One for each unit; empty if all have the same.
  std::span<const Status> statuses;
  Status same = Status::kUnallocated;
  /// The layer ends before the window; `same` is then kZero.
  bool has_ended = false;

  [[nodiscard]] bool is_same() const { return statuses.empty(); }
};

class ChainRows {
 public:
  /// `count` units of `unit` bytes, one after the other.
  struct Window {
    std::uint64_t unit = 0;
    std::size_t count = 0;

    [[nodiscard]] std::uint64_t length() const { return unit * count; }
  };

  /// Most units in a window: the entries of one table slice.
  static constexpr std::size_t kUnits = 2048;

  /// For the layers from layers[first] up to, but without, layers[last]. Both arguments outlive
  /// this.
  ChainRows(const Chain& chain, ChainWalk& walk, std::size_t first, std::size_t last);

  /// The window that begins at `offset` and ends at `end` at the latest. If layers are damaged at
  /// `offset`, the error is that of the uppermost one.
  [[nodiscard]] Result<Window> next(std::uint64_t offset, std::uint64_t end);

  /// The row of a layer in the last window, by its index in the chain; valid until the next window.
  [[nodiscard]] LayerRow row(std::size_t layer) const;

 private:
  struct Layer {
    Image* image = nullptr;
    std::size_t index = 0;
    std::uint64_t size = 0;
    std::uint64_t entry_span = 0;
    /// Of the run at the beginning of the window.
    Status status = Status::kUnallocated;
    std::uint64_t run_end = 0;
    bool has_ended = false;
    bool has_row = false;
    std::vector<Status> statuses;
  };

  [[nodiscard]] Result<void> find_runs(std::uint64_t offset);
  [[nodiscard]] Window choose(std::uint64_t offset, std::uint64_t end);
  [[nodiscard]] Result<void> fill_rows(std::uint64_t offset, Window& window);
  [[nodiscard]] Window by_run(std::uint64_t offset, std::uint64_t end);

  ChainWalk& walk_;
  const std::size_t first_;
  std::vector<Layer> layers_;
  /// Indexes in `layers_`, the smallest entry_span first.
  std::vector<std::size_t> by_span_;
  std::size_t count_ = 0;
};

}  // namespace blockpull::image
