// SPDX-License-Identifier: Apache-2.0
//
// Identifies a file and records what stat reports, so that we can detect later whether somebody has
// written to a file that we only read.
//
// The kernel stamps a write with the current clock tick. A file that was written just before it was
// examined can be written again within that tick and keep the same times. state_after_tick()
// therefore waits for the tick to end; every later write then shows. Times are those of the file's
// own clock and are only compared with each other.

#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include <sys/stat.h>

#include "core/base/result.h"

namespace blockpull::io {

/// Identifies an inode, by whatever name it was opened.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  auto operator<=>(const FileId&) const = default;
};

struct FileState {
  FileId id;
  std::uint64_t size_bytes = 0;
  /// Time of the last change of the content, and of the last change of anything.
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint64_t links = 0;

  [[nodiscard]] bool has_content_of(const FileState& other) const {
    return size_bytes == other.size_bytes && modified_ns == other.modified_ns;
  }
};

[[nodiscard]] FileState state_of(const struct stat& about);

/// What stat reports of an open file; `path` is for messages.
[[nodiscard]] Result<FileState> state_of(int fd, const std::string& path);

/// The same after the tick of the file's last change is over. Waits at most a second, and that long
/// only if the filesystem counts in whole seconds. Blocks.
[[nodiscard]] Result<FileState> state_after_tick(int fd, const std::string& path);

/// kLocked: a file that had `had` bytes when it was opened now ends at `ends_at`, before the bytes
/// of a read.
[[nodiscard]] Error shorter_error(const std::string& path, std::uint64_t had,
                                  std::uint64_t ends_at);

}  // namespace blockpull::io
