// SPDX-License-Identifier: Apache-2.0

#include "virt/session/stated_formats.h"

#include <utility>

namespace blockpull::virt {

blockpull::Result<std::optional<image::Format>> format_of(const std::optional<std::string>& name) {
  if (!name) {
    return std::optional<image::Format>();
  }
  BLOCKPULL_TRY(format, image::parse_format(*name));
  return std::optional(format);
}

blockpull::Result<image::StatedFormats> stated_formats(const BackingFormats& by_caller,
                                                       std::vector<image::FileFormat> by_domain) {
  for (const image::FileFormat& stated : by_caller.by_file) {
    BLOCKPULL_CHECK(image::parse_format(stated.format));
  }
  BLOCKPULL_TRY(for_one_layer, format_of(by_caller.for_one_layer));
  return image::StatedFormats{by_caller.by_file, std::move(by_domain), for_one_layer};
}

}  // namespace blockpull::virt
