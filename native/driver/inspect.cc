// SPDX-License-Identifier: Apache-2.0

#include "driver/inspect.h"

#include "core/image/chain_walk.h"
#include "core/io/lock.h"

namespace blockpull::driver {
namespace {

using IsWanted = std::function<bool()>;

/// Runs that are walked between two looks at whether to go on.
constexpr std::uint32_t kTurn = 4096;

/// Fails once nobody wants to know any more.
class Turns {
 public:
  explicit Turns(const IsWanted& is_wanted) : is_wanted_(is_wanted) {}

  [[nodiscard]] Result<void> go_on() {
    if (++runs_ % kTurn == 0 && !is_wanted_()) {
      return make_error(ErrorKind::kCancelled, "call was given up before its end");
    }
    return {};
  }

 private:
  const IsWanted& is_wanted_;
  std::uint32_t runs_ = 0;
};

Result<std::uint64_t> count_data(image::Image& image, Turns& turns) {
  BLOCKPULL_CHECK(image.check_walk());
  std::uint64_t data = 0;
  std::uint64_t offset = 0;
  while (offset < image.virtual_size()) {
    BLOCKPULL_CHECK(turns.go_on());
    BLOCKPULL_TRY(extent, image.status({offset}, image.virtual_size() - offset));
    const bool is_data =
        extent.status == image::Status::kData || extent.status == image::Status::kCompressed;
    data += is_data ? extent.length : 0;
    offset += extent.length;
  }
  return data;
}

Result<LayerInfo> describe(const image::Layer& layer, Turns& turns) {
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
  BLOCKPULL_TRY(data_bytes, count_data(*layer.image, turns));
  info.data_bytes = data_bytes;
  info.in_use_by = io::find_writer(*layer.file);
  return info;
}

Result<void> count_visible(const image::Chain& chain, std::vector<LayerInfo>& layers,
                           Turns& turns) {
  const std::uint64_t size = chain.active().virtual_size();
  image::ChainWalk walk(chain);
  std::uint64_t offset = 0;
  while (offset < size) {
    BLOCKPULL_CHECK(turns.go_on());
    BLOCKPULL_TRY(owner, walk.who_has(0, layers.size(), {offset}, size - offset));
    // Zeros behind the end of a short layer are nobody's.
    if (owner.layer < layers.size() && offset < layers[owner.layer].virtual_size) {
      layers[owner.layer].visible_bytes += owner.extent.length;
    }
    offset += owner.extent.length;
  }
  return {};
}

}  // namespace

Result<std::vector<LayerInfo>> inspect_chain(const std::string& path, image::ChainOptions options,
                                             const IsWanted& is_wanted) {
  Turns turns(is_wanted);
  options.lock_for_pull = false;
  BLOCKPULL_TRY(chain, image::open_chain(path, options));
  std::vector<LayerInfo> layers;
  for (const image::Layer& layer : chain.layers) {
    BLOCKPULL_TRY(info, describe(layer, turns));
    layers.push_back(std::move(info));
  }
  BLOCKPULL_CHECK(count_visible(chain, layers, turns));
  return layers;
}

}  // namespace blockpull::driver
