// SPDX-License-Identifier: Apache-2.0
//
// The formats that a caller or a domain's XML states for layers whose overlay states none. They
// come as words, and are looked up before any file is opened.
//
// Pure functions.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/image/chain.h"
#include "core/image/layer_formats.h"

namespace blockpull::virt {

/// Absent if there is no name. kFeatureUnsupported for an unsupported format.
[[nodiscard]] blockpull::Result<std::optional<image::Format>> format_of(
    const std::optional<std::string>& name);

/// The formats that the caller states, for layers whose overlay states none.
struct BackingFormats {
  std::vector<image::FileFormat> by_file;
  std::optional<std::string> for_one_layer;
};

/// The formats to use for such layers; `by_domain` comes from the domain's XML. kFeatureUnsupported
/// if the caller states an unsupported format.
[[nodiscard]] blockpull::Result<image::StatedFormats> stated_formats(
    const BackingFormats& by_caller, std::vector<image::FileFormat> by_domain);

}  // namespace blockpull::virt
