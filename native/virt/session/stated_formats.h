// SPDX-License-Identifier: Apache-2.0
//
// The formats that a caller or a domain's XML states for layers whose overlay states none. They are
// words, and are looked up before any file is opened.
//
// Pure functions.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/image/chain.h"
#include "core/image/layer_formats.h"

namespace blockpull::virt {

/// Absent for no name; kFeatureUnsupported for a format that is not served.
[[nodiscard]] blockpull::Result<std::optional<image::Format>> format_of(
    const std::optional<std::string>& name);

/// The caller's word for layers whose overlay states no format.
struct BackingFormats {
  std::vector<image::FileFormat> by_file;
  std::optional<std::string> for_one_layer;
};

/// What is known of such layers, where `by_domain` is what its XML says. kFeatureUnsupported for a
/// format of the caller's that is not served.
[[nodiscard]] blockpull::Result<image::StatedFormats> stated_formats(
    const BackingFormats& by_caller, std::vector<image::FileFormat> by_domain);

}  // namespace blockpull::virt
