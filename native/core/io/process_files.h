// SPDX-License-Identifier: Apache-2.0
//
// Which files another process has open, from /proc/<pid>/fd: the one witness that a name means the
// same file there and here. A process may have other mounts than we have, and then the same path
// is another file; device and inode of what it holds open are not to be mistaken.
//
// Thread rule: any thread; immutable after of(), which reads a bounded number of names below /proc.

#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "core/io/posix_file.h"

namespace blockpull::io {

class ProcessFiles {
 public:
  /// Of a process or of one of its threads. Absent where that cannot be read: nothing of that
  /// number here, or no right to look.
  [[nodiscard]] static std::optional<ProcessFiles> of(pid_t pid);

  [[nodiscard]] bool has(const FileId& id) const { return ids_.contains(id); }

  /// Whether it holds a file open that was at `path` and has no name any more.
  [[nodiscard]] bool has_deleted(std::string_view path) const;

  /// Whether it would find that file by that absolute path: a process may have other mounts, and
  /// two files that swap their names there.
  [[nodiscard]] bool finds(const std::string& path, const FileId& id) const;

  /// Its working directory as seen from here, or "".
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  std::set<FileId> ids_;
  std::set<std::string, std::less<>> deleted_;
  std::string folder_;
  /// Its root, through /proc.
  std::string root_;
};

}  // namespace blockpull::io
