// SPDX-License-Identifier: Apache-2.0
//
// Describes one image file by its header: size, features, internal snapshots, bitmaps. Backing
// files are named, not opened. It takes no lock and changes nothing.
//
// Thread rule: blocks for a few reads; never call it on an event loop.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/image/facts.h"
#include "core/image/qcow2/bitmaps.h"
#include "core/image/qcow2/snapshots.h"

namespace blockpull::image {

/// What only a qcow2 image has.
struct Qcow2Info {
  std::uint32_t version = 0;
  std::uint64_t cluster_size = 0;
  std::uint32_t refcount_bits = 0;
  /// "zlib" or "zstd".
  std::string compression;
  /// Feature bits that are set, by name: "extended-l2", or "compatible bit 5".
  std::vector<std::string> features;
  /// "aes", "luks", or empty.
  std::string encryption;
  /// As the header states it, or empty.
  std::string data_file;
  std::vector<qcow2::Snapshot> snapshots;
  /// Valid ones only.
  std::vector<qcow2::Bitmap> bitmaps;
};

struct ImageInfo : ImageFacts {
  /// Absent for a raw image.
  std::optional<Qcow2Info> qcow2;
};

/// kFormatUnknown if the format is not stated and the file has no known magic.
[[nodiscard]] Result<ImageInfo> image_info(const std::string& path, std::optional<Format> format);

}  // namespace blockpull::image
