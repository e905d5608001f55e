// SPDX-License-Identifier: Apache-2.0
//
// What a caller states about an image file that it names.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/image/chain.h"
#include "core/image/qcow2/repair/repair.h"
#include "virt/session/stated_formats.h"

namespace blockpull::virt {

struct ImageRequest {
  std::string path;
  /// Absent: detected by the image's magic, never taken to be raw.
  std::optional<std::string> format;
  BackingFormats backing_formats;
  /// Folders that backing files must be in; absent: any local file.
  std::optional<std::vector<std::string>> backing_paths;
};

/// One file, whatever its backing file is.
struct ImageFileRequest {
  std::string path;
  /// Absent: detected by the file's magic, never taken to be raw.
  std::optional<std::string> format;
};

struct ImageCheckRequest {
  ImageFileRequest image;
  /// Absent: the image is only read.
  std::optional<image::qcow2::RepairScope> repair;
};

/// kFeatureUnsupported names a format that is not supported.
[[nodiscard]] blockpull::Result<image::ChainOptions> chain_options(const ImageRequest& request);

}  // namespace blockpull::virt
