// SPDX-License-Identifier: Apache-2.0
//
// Which file it is, and what stat says of it: enough to tell later whether somebody has written to
// a file that we only read.
//
// A kernel stamps a write with the tick in which it comes, so a file that was written to a moment
// before it was looked at can be written to again and have the same times. state_after_tick()
// therefore waits such a tick out; afterwards every write shows. Times are those of the file's own
// clock and are only ever compared with each other.

#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include <sys/stat.h>

#include "core/base/result.h"

namespace blockpull::io {

/// Which inode: the same file whatever it was opened by.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  auto operator<=>(const FileId&) const = default;
};

struct FileState {
  FileId id;
  std::uint64_t size_bytes = 0;
  /// When the content, and when anything at all, was changed last.
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint64_t links = 0;

  [[nodiscard]] bool has_content_of(const FileState& other) const {
    return size_bytes == other.size_bytes && modified_ns == other.modified_ns;
  }
};

[[nodiscard]] FileState state_of(const struct stat& about);

/// What stat says of an open file; `path` is for messages.
[[nodiscard]] Result<FileState> state_of(int fd, const std::string& path);

/// The same once the tick of its last change is over: at the most a second later, and that only
/// where a filesystem counts in whole seconds. Blocks.
[[nodiscard]] Result<FileState> state_after_tick(int fd, const std::string& path);

/// kLocked: a file that had `had` bytes when it was opened ends at `ends_at`, behind which a read
/// was to find some.
[[nodiscard]] Error shorter_error(const std::string& path, std::uint64_t had,
                                  std::uint64_t ends_at);

}  // namespace blockpull::io
