// SPDX-License-Identifier: Apache-2.0
//
// A new, empty qcow2 image, usually an overlay. It is written under a temporary name, synced and
// renamed, and the folder is synced, so the name never stands for half an image. The layout is
// QEMU's:
//
//     cluster 0 header │ refcount table │ first refcount block │ L1 table
//
// In version 3 the backing format extension is at 112, so that a later pull to a base can change
// the backing file in one sector.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/result.h"
#include "core/image/image.h"

namespace blockpull::image {

struct CreateOptions {
  std::string path;
  /// Bytes, rounded up to 512; absent: the size of the backing file.
  std::optional<std::uint64_t> size;
  /// As the header is to state it; relative to the folder of `path`.
  std::optional<std::string> backing_file;
  /// Required with a backing file.
  std::optional<Format> backing_format;
  std::uint64_t cluster_size = 65536;
  std::uint32_t version = 3;
};

/// Refuses an existing path, a backing file that cannot be opened, and numbers that the format
/// cannot hold.
[[nodiscard]] Result<void> create_image(const CreateOptions& options);

}  // namespace blockpull::image
