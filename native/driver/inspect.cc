// SPDX-License-Identifier: Apache-2.0

#include "driver/inspect.h"

#include "core/image/chain_walk.h"
#include "core/io/lock.h"

namespace blockpull::driver {
namespace {

Result<std::uint64_t> count_data(image::Image& image) {
  std::uint64_t data = 0;
  std::uint64_t offset = 0;
  while (offset < image.virtual_size()) {
    BLOCKPULL_TRY(extent, image.status({offset}, image.virtual_size() - offset));
    const bool is_data =
        extent.status == image::Status::kData || extent.status == image::Status::kCompressed;
    data += is_data ? extent.length : 0;
    offset += extent.length;
  }
  return data;
}

Result<LayerInfo> describe(const image::Layer& layer) {
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
  BLOCKPULL_TRY(data_bytes, count_data(*layer.image));
  info.data_bytes = data_bytes;
  info.in_use_by = io::find_writer(*layer.file);
  return info;
}

Result<void> count_visible(const image::Chain& chain, std::vector<LayerInfo>& layers) {
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
  }
  return {};
}

}  // namespace

Result<std::vector<LayerInfo>> inspect_chain(const std::string& path, image::ChainOptions options) {
  options.lock_for_pull = false;
  BLOCKPULL_TRY(chain, image::open_chain(path, options));
  std::vector<LayerInfo> layers;
  for (const image::Layer& layer : chain.layers) {
    BLOCKPULL_TRY(info, describe(layer));
    layers.push_back(std::move(info));
  }
  BLOCKPULL_CHECK(count_visible(chain, layers));
  return layers;
}

}  // namespace blockpull::driver
