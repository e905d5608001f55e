// SPDX-License-Identifier: Apache-2.0

#include "core/image/inspect.h"

#include <algorithm>
#include <utility>

#include "core/image/chain_rows.h"

namespace blockpull::image {
namespace {

Result<LayerInfo> describe(const Layer& layer) {
  BLOCKPULL_TRY(facts, facts_of(layer.path, *layer.file, *layer.image));
  LayerInfo info{std::move(facts)};
  info.cluster_size = layer.image->cluster_size();
  return info;
}

/// Counts the bytes that layers have and show, window by window, in one walk over all layers.
class Counter {
 public:
  Counter(const Chain& chain, std::vector<LayerInfo>& layers)
      : layers_(layers), walk_(chain), rows_(chain, walk_, 0, layers.size()) {
    for (const LayerInfo& layer : layers) {
      end_ = std::max(end_, layer.virtual_size);
    }
  }

  /// Guest bytes that were walked, and the total.
  [[nodiscard]] std::uint64_t position() const { return offset_; }
  [[nodiscard]] std::uint64_t end() const { return end_; }

  Result<void> next() {
    BLOCKPULL_TRY(window, rows_.next(offset_, end_));
    // The guest sees nothing behind the end of the active image.
    is_open_.assign(window.count, offset_ < layers_.front().virtual_size ? 1 : 0);
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      count(rows_.row(layer), window, layers_[layer]);
    }
    offset_ += window.length();
    return {};
  }

 private:
  void count(const LayerRow& row, const ChainRows::Window& window, LayerInfo& info) {
    if (row.is_same() && row.same == Status::kUnallocated) {
      return;
    }
    std::size_t with_data = 0;
    std::size_t shown = 0;
    for (std::size_t unit = 0; unit < window.count; ++unit) {
      const Status status = row.is_same() ? row.same : row.statuses[unit];
      const bool answers = status != Status::kUnallocated;
      with_data += status == Status::kData || status == Status::kCompressed ? 1 : 0;
      shown += answers ? is_open_[unit] : 0;
      is_open_[unit] &= answers ? 0 : 1;
    }
    info.data_bytes += with_data * window.unit;
    // Zeros behind the end of a short layer belong to no layer.
    info.visible_bytes += row.has_ended ? 0 : shown * window.unit;
  }

  std::vector<LayerInfo>& layers_;
  ChainWalk walk_;
  ChainRows rows_;
  std::uint64_t offset_ = 0;
  std::uint64_t end_ = 0;
  /// For each unit of a window: no layer so far has it.
  std::vector<std::uint8_t> is_open_;
};

Result<void> count_bytes(const Chain& chain, std::vector<LayerInfo>& layers,
                         const WalkWatch& watch) {
  Counter counter(chain, layers);
  watch.begin(WalkPhase::kTables, counter.end());
  while (counter.position() < counter.end()) {
    BLOCKPULL_CHECK(watch.check());
    BLOCKPULL_CHECK(counter.next());
    watch.reach(counter.position());
  }
  return {};
}

}  // namespace

Result<std::vector<LayerInfo>> inspect_chain(const std::string& path, ChainOptions options,
                                             const WalkWatch& watch) {
  BLOCKPULL_CHECK(watch.check());
  options.lock_for_pull = false;
  BLOCKPULL_TRY(chain, image::open_chain(path, options));
  BLOCKPULL_CHECK(chain.check_walk());
  std::vector<LayerInfo> layers;
  for (const Layer& layer : chain.layers) {
    BLOCKPULL_TRY(info, describe(layer));
    layers.push_back(std::move(info));
  }
  BLOCKPULL_CHECK(count_bytes(chain, layers, watch));
  return layers;
}

}  // namespace blockpull::image
