// SPDX-License-Identifier: Apache-2.0

#include "virt/calls/image_request.h"

namespace blockpull::virt {

blockpull::Result<image::ChainOptions> chain_options(const ImageRequest& request) {
  image::ChainOptions options;
  BLOCKPULL_TRY(format, format_of(request.format));
  BLOCKPULL_TRY(formats, stated_formats(request.backing_formats, {}));
  options.format = format;
  options.formats = std::move(formats);
  options.backing_paths = request.backing_paths;
  return options;
}

}  // namespace blockpull::virt
