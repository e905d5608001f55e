// SPDX-License-Identifier: Apache-2.0
//
// What is said of every image file, as a layer of a chain (inspect.h) and by itself (info.h).
//
// Thread rule: blocks for a few system calls.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/image/image.h"
#include "core/io/posix_file.h"

namespace blockpull::image {

struct ImageFacts {
  std::string path;
  Format format = Format::kRaw;
  std::uint64_t virtual_size = 0;
  /// Bytes on disk (st_blocks), and the length of the file.
  std::uint64_t allocated_bytes = 0;
  std::uint64_t file_size = 0;
  /// As the header states it.
  std::optional<BackingReference> backing;
  /// The process that has the file locked for writing, or empty (see io::find_writer).
  std::string in_use_by;
};

/// `file` is the file of `image`, and `path` the name by which it was found.
[[nodiscard]] Result<ImageFacts> facts_of(const std::string& path, io::PosixFile& file,
                                          const Image& image);

}  // namespace blockpull::image
