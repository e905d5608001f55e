// SPDX-License-Identifier: Apache-2.0

#include "driver/inspect.h"

#include <algorithm>
#include <numeric>

#include "core/image/chain_walk.h"
#include "core/io/lock.h"

namespace blockpull::driver {
namespace {

/// Runs that are walked between two questions. Each may wait for a disk.
constexpr std::uint32_t kRunsAtOnce = 16;

/// Asks at every so many runs whether the walk is wanted, and tells how far it is.
class Patience {
 public:
  explicit Patience(const WalkWatch& watch) : watch_(watch) {}

  /// Every layer is walked by itself, then all of them together.
  void begin(const image::Chain& chain) {
    const auto add = [](std::uint64_t sum, const image::Layer& layer) {
      return sum + std::min(layer.image->virtual_size(), UINT64_MAX - sum);
    };
    const auto& layers = chain.layers;
    watch_.begin(WalkPhase::kTables,
                 std::accumulate(layers.begin(), layers.end(), chain.active().virtual_size(), add));
  }

  /// A run of `length` bytes has been looked at.
  [[nodiscard]] Result<void> passed(std::uint64_t length) {
    done_bytes_ += std::min(length, UINT64_MAX - done_bytes_);
    return ++runs_ % kRunsAtOnce == 0 ? look_up() : Result<void>();
  }

  [[nodiscard]] Result<void> look_up() {
    watch_.reach(done_bytes_);
    return watch_.check();
  }

 private:
  const WalkWatch& watch_;
  std::uint64_t done_bytes_ = 0;
  std::uint32_t runs_ = 0;
};

Result<std::uint64_t> count_data(image::Image& image, Patience& patience) {
  std::uint64_t data = 0;
  std::uint64_t offset = 0;
  while (offset < image.virtual_size()) {
    BLOCKPULL_TRY(extent, image.status({offset}, image.virtual_size() - offset));
    const bool is_data =
        extent.status == image::Status::kData || extent.status == image::Status::kCompressed;
    data += is_data ? extent.length : 0;
    offset += extent.length;
    BLOCKPULL_CHECK(patience.passed(extent.length));
  }
  return data;
}

Result<LayerInfo> describe(const image::Layer& layer, Patience& patience) {
  LayerInfo info;
  info.path = layer.path;
  info.format = layer.image->format();
  info.virtual_size = layer.image->virtual_size();
  info.cluster_size = layer.image->cluster_size();
  info.backing = layer.image->backing();
  BLOCKPULL_TRY(allocated_bytes, layer.file->allocated_bytes());
  info.allocated_bytes = allocated_bytes;
  BLOCKPULL_TRY(file_size, layer.file->size());
  info.file_size = file_size;
  BLOCKPULL_TRY(data_bytes, count_data(*layer.image, patience));
  info.data_bytes = data_bytes;
  info.in_use_by = io::find_writer(*layer.file);
  return info;
}

Result<void> count_visible(const image::Chain& chain, std::vector<LayerInfo>& layers,
                           Patience& patience) {
  const std::uint64_t size = chain.active().virtual_size();
  image::ChainWalk walk(chain);
  std::uint64_t offset = 0;
  while (offset < size) {
    BLOCKPULL_TRY(owner, walk.who_has(0, layers.size(), {offset}, size - offset));
    // Zeros behind the end of a short layer are nobody's.
    if (owner.layer < layers.size() && offset < layers[owner.layer].virtual_size) {
      layers[owner.layer].visible_bytes += owner.extent.length;
    }
    offset += owner.extent.length;
    BLOCKPULL_CHECK(patience.passed(owner.extent.length));
  }
  return patience.look_up();
}

}  // namespace

Result<std::vector<LayerInfo>> inspect_chain(const std::string& path, image::ChainOptions options,
                                             const WalkWatch& watch) {
  Patience patience(watch);
  BLOCKPULL_CHECK(watch.check());
  options.lock_for_pull = false;
  BLOCKPULL_TRY(chain, image::open_chain(path, options));
  BLOCKPULL_CHECK(chain.check_walk());
  patience.begin(chain);
  std::vector<LayerInfo> layers;
  for (const image::Layer& layer : chain.layers) {
    BLOCKPULL_TRY(info, describe(layer, patience));
    layers.push_back(std::move(info));
  }
  BLOCKPULL_CHECK(count_visible(chain, layers, patience));
  return layers;
}

}  // namespace blockpull::driver
