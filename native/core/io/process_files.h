// SPDX-License-Identifier: Apache-2.0
//
// The files that another process has open, from /proc/<pid>/fd. Only this proves that a name means
// the same file there and here. A process may have other mounts, so that the same path is another
// file. The device and inode of a file that it holds open are unambiguous.
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
  /// For a process or one of its threads. Absent if it cannot be read: there is no such id here, or
  /// we may not read it.
  [[nodiscard]] static std::optional<ProcessFiles> of(pid_t pid);

  [[nodiscard]] bool has(const FileId& id) const { return ids_.contains(id); }

  /// Whether it holds a file open that was at `path` and has been deleted.
  [[nodiscard]] bool has_deleted(std::string_view path) const;

  /// Whether that absolute path leads to that file for the process. It may have other mounts, in
  /// which two files may have swapped names.
  [[nodiscard]] bool finds(const std::string& path, const FileId& id) const;

  /// Its working directory as seen from here, or "".
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  std::set<FileId> ids_;
  std::set<std::string, std::less<>> deleted_;
  std::string folder_;
  /// The path of its root, through /proc.
  std::string root_;
};

}  // namespace blockpull::io
