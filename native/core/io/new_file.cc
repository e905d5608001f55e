// SPDX-License-Identifier: Apache-2.0

#include "core/io/new_file.h"

#include <atomic>
#include <cerrno>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/text.h"
#include "core/io/folder.h"

namespace blockpull::io {
namespace {

/// Names to try; if other processes have left so many files, creation fails.
constexpr int kMostNames = 100;

}  // namespace

Result<NewFile> NewFile::create(const std::string& path) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) == 0) {
    return exists_error(path);
  }
  static std::atomic<unsigned> next_number{1};
  for (int tried = 1;; ++tried) {
    const std::string temporary =
        text(folder_part(path), ".blockpull-", ::getpid(), "-", next_number.fetch_add(1), ".tmp");
    Result<std::unique_ptr<PosixFile>> file = PosixFile::create(temporary);
    if (file.ok()) {
      return NewFile(path, std::move(file).value());
    }
    if (file.error().error_number != EEXIST || tried == kMostNames) {
      return system_error("create", file.error().error_number, path);
    }
  }
}

NewFile::~NewFile() {
  if (file_ != nullptr && !published_) {
    ::unlink(file_->path().c_str());
  }
}

Result<void> NewFile::publish() {
  // If we die before the rename, the next reader of the folder sees at most a temporary file.
  BLOCKPULL_CHECK(file_->sync());
  BLOCKPULL_CHECK(take_name());
  published_ = true;
  return sync_folder(path_);
}

Result<void> NewFile::take_name() const {
  const char* const from = file_->path().c_str();
  // Not every C library has a function for this call.
  long failed = ::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, path_.c_str(), RENAME_NOREPLACE);
  if (failed != 0 && (errno == EINVAL || errno == ENOSYS)) {
    // A filesystem without that flag (NFS) has hard links, which never replace a file either.
    failed = ::link(from, path_.c_str());
    if (failed == 0) {
      ::unlink(from);
    }
  }
  if (failed == 0) {
    return {};
  }
  return errno == EEXIST ? exists_error(path_) : system_error("rename", errno, path_);
}

}  // namespace blockpull::io
