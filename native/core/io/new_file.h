// SPDX-License-Identifier: Apache-2.0
//
// A new file that appears whole or not at all.
//
//     create ─▶ folder/.blockpull-<pid>-<n>.tmp ─▶ write ─┬─▶ publish: sync ─ rename ─ sync folder
//                                                         └─▶ destroyed without publish: removed
//
// The rename never replaces another file. A crash leaves at most the temporary file, and nothing
// refers to that.

#pragma once

#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/io/posix_file.h"

namespace blockpull::io {

class NewFile {
 public:
  /// Begins a file that is to become `path`. kInvalidArgument if that exists.
  [[nodiscard]] static Result<NewFile> create(const std::string& path);

  NewFile(NewFile&& other) noexcept = default;
  NewFile& operator=(NewFile&& other) = delete;
  ~NewFile();

  [[nodiscard]] PosixFile& file() { return *file_; }

  /// Makes the content durable, then the name. kInvalidArgument if somebody else took the name
  /// first.
  [[nodiscard]] Result<void> publish();

 private:
  NewFile(std::string path, std::unique_ptr<PosixFile> file)
      : path_(std::move(path)), file_(std::move(file)) {}

  [[nodiscard]] Result<void> take_name() const;

  std::string path_;
  /// Under its temporary name; null after a move.
  std::unique_ptr<PosixFile> file_;
  bool published_ = false;
};

}  // namespace blockpull::io
