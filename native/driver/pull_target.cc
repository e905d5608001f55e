// SPDX-License-Identifier: Apache-2.0

#include "driver/pull_target.h"

#include "core/base/text.h"

namespace blockpull::driver {

std::vector<std::string> PullTarget::intermediate_paths() const {
  std::vector<std::string> paths;
  for (std::size_t layer = 1; has_work && layer < base; ++layer) {
    paths.push_back(chain.layers[layer].path);
  }
  return paths;
}

Result<void> PullTarget::check_in_place() const {
  const image::Layer& layer = chain.layers.front();
  if (layer.file == nullptr) {
    return {};
  }
  BLOCKPULL_TRY(there, io::identify(absolute_path));
  if (there == layer.file->id()) {
    return {};
  }
  return make_error(ErrorKind::kIo, text("image '", layer.path,
                                         "' was replaced by another file during the pull; the file "
                                         "that was there before still needs its backing file"))
      .with_path(layer.path);
}

}  // namespace blockpull::driver
