// SPDX-License-Identifier: Apache-2.0

#include "core/image/image.h"

#include "core/base/text.h"

namespace blockpull::image {

const char* format_name(Format format) {
  return format == Format::kRaw ? "raw" : "qcow2";
}

Result<Format> parse_format(const std::string& name) {
  for (const Format format : {Format::kRaw, Format::kQcow2}) {
    if (name == format_name(format)) {
      return format;
    }
  }
  return make_error(ErrorKind::kFeatureUnsupported,
                    text("format '", name, "' is not supported; supported are qcow2 and raw"));
}

Result<std::size_t> Image::classify(GuestOffset, std::uint64_t, std::span<Status>) {
  return std::size_t{0};
}

}  // namespace blockpull::image
