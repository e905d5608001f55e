// SPDX-License-Identifier: Apache-2.0

#include "core/image/chain_rows.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/base/checked.h"

namespace blockpull::image {

ChainRows::ChainRows(const Chain& chain, ChainWalk& walk, std::size_t first, std::size_t last)
    : walk_(walk), first_(first), layers_(last - first), by_span_(last - first) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Image& image = *chain.layers[first + i].image;
    layers_[i].image = &image;
    layers_[i].index = first + i;
    layers_[i].size = image.virtual_size();
    layers_[i].entry_span = image.entry_span();
  }
  std::iota(by_span_.begin(), by_span_.end(), std::size_t{0});
  std::stable_sort(by_span_.begin(), by_span_.end(), [this](std::size_t a, std::size_t b) {
    return layers_[a].entry_span < layers_[b].entry_span;
  });
}

Result<ChainRows::Window> ChainRows::next(std::uint64_t offset, std::uint64_t end) {
  BLOCKPULL_CHECK(find_runs(offset));
  Window window = choose(offset, end);
  if (window.count > 0) {
    BLOCKPULL_CHECK(fill_rows(offset, window));
  }
  if (window.count == 0) {
    window = by_run(offset, end);
  }
  count_ = window.count;
  return window;
}

Result<void> ChainRows::find_runs(std::uint64_t offset) {
  for (Layer& layer : layers_) {
    layer.has_row = false;
    layer.has_ended = offset >= layer.size;
    layer.status = Status::kZero;
    layer.run_end = std::numeric_limits<std::uint64_t>::max();
    if (!layer.has_ended) {
      BLOCKPULL_TRY(extent, walk_.status(layer.index, offset, layer.size - offset));
      layer.status = extent.status;
      layer.run_end = offset + extent.length;
    }
  }
  return {};
}

/// The window that the runs allow; no units if it must be one run.
ChainRows::Window ChainRows::choose(std::uint64_t offset, std::uint64_t end) {
  std::uint64_t unit = 0;
  for (const std::size_t index : by_span_) {
    const Layer& layer = layers_[index];
    if (unit == 0) {
      const std::uint64_t row_bytes = layer.entry_span * kUnits;
      const bool goes_by_runs = row_bytes == 0;
      const std::uint64_t row_end = goes_by_runs ? 0 : round_down(offset, row_bytes) + row_bytes;
      if (goes_by_runs || layer.run_end >= std::min(row_end, end)) {
        // Its run covers a whole row, or it has no rows.
        end = std::min(end, layer.run_end);
        continue;
      }
      unit = layer.entry_span;
      end = std::min(end, row_end);
    }
    end = layer.has_ended ? end : std::min(end, layer.size);
  }
  if (unit == 0 || !is_aligned(offset, unit)) {
    return {};
  }
  return {unit, static_cast<std::size_t>((end - offset) / unit)};
}

Result<void> ChainRows::fill_rows(std::uint64_t offset, Window& window) {
  for (Layer& layer : layers_) {
    if (layer.run_end - offset >= window.length()) {
      continue;
    }
    layer.statuses.resize(kUnits);
    const auto into = std::span(layer.statuses).first(window.count);
    BLOCKPULL_TRY(told, layer.image->classify({offset}, window.unit, into));
    window.count = std::min(window.count, told);
    layer.has_row = true;
  }
  return {};
}

/// One unit, as long as the shortest run.
ChainRows::Window ChainRows::by_run(std::uint64_t offset, std::uint64_t end) {
  for (Layer& layer : layers_) {
    layer.has_row = false;
    end = std::min(end, layer.run_end);
  }
  return {end - offset, 1};
}

LayerRow ChainRows::row(std::size_t index) const {
  const Layer& layer = layers_[index - first_];
  LayerRow row{{}, layer.status, layer.has_ended};
  if (layer.has_row) {
    row.statuses = std::span(layer.statuses).first(count_);
  }
  return row;
}

}  // namespace blockpull::image
