// SPDX-License-Identifier: Apache-2.0
//
// A File on a Linux filesystem, and the only place that opens one.
//
//     open ── lock (io/lock.h) ── read the header ── use
//
// Two descriptors of one inode: a buffered one for metadata, and, opened through /proc/self/fd when
// it is first wanted, one with O_DIRECT for the bulk of the data, so that a pull neither fills the
// page cache nor pays for copying through it. Both are closed with the object; locks belong to the
// first.

#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include <sys/stat.h>

#include "core/base/unique_fd.h"
#include "core/io/file.h"
#include "core/io/file_state.h"

namespace blockpull::io {

enum class Access : std::uint8_t { kReadOnly, kReadWrite };

/// The inode that `path` stands for, without opening it; symbolic links are followed.
[[nodiscard]] Result<FileId> identify(const std::string& path);

/// Whether `path` stands for that inode; false also where it cannot be told.
[[nodiscard]] bool leads_to(const std::string& path, FileId file);

/// kInvalidArgument: `path` was to be created and is there.
[[nodiscard]] Error exists_error(const std::string& path);

/// The error that opening `path` for writing would give, without opening it: kReadOnly,
/// kAccessDenied.
[[nodiscard]] Result<void> check_writable(const std::string& path);

class PosixFile final : public File {
 public:
  /// Opens an existing regular file. Anything else (directory, FIFO, device, socket) is
  /// kUnsupported; opening never blocks on a FIFO. Read-write access to a read-only file is
  /// kReadOnly.
  [[nodiscard]] static Result<std::unique_ptr<PosixFile>> open(const std::string& path,
                                                               Access access);

  /// Creates a new file, mode 0644 less the umask; an existing one is kInvalidArgument and left
  /// alone.
  [[nodiscard]] static Result<std::unique_ptr<PosixFile>> create(const std::string& path);

  [[nodiscard]] const std::string& path() const override { return path_; }

  [[nodiscard]] Result<std::uint64_t> size() override;
  [[nodiscard]] Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override;
  [[nodiscard]] Result<void> write_at(std::uint64_t offset,
                                      std::span<const std::byte> from) override;
  [[nodiscard]] Result<void> sync() override;
  [[nodiscard]] bool sync_failed() const override { return sync_error_.load() != 0; }
  [[nodiscard]] Result<void> truncate(std::uint64_t size) override;
  [[nodiscard]] Result<void> allocate(std::uint64_t offset, std::uint64_t length) override;
  [[nodiscard]] Result<void> punch(std::uint64_t offset, std::uint64_t length) override;
  [[nodiscard]] Result<FileRun> run_at(std::uint64_t offset) override;
  [[nodiscard]] KernelFile kernel_file() override;

  [[nodiscard]] FileId id() const { return opened_.id; }

  /// Takes the file as it is now for what it was when it was opened: to be called once it is
  /// locked, before anything is read. Waits as state_after_tick() does.
  [[nodiscard]] Result<void> note_state();

  /// As it was when it was opened, or noted.
  [[nodiscard]] const FileState& opened() const { return opened_; }

  /// As it is now.
  [[nodiscard]] Result<FileState> state() const { return state_of(fd_.get(), path_); }

  /// Bytes that the file must have: those it was opened with, or that we have made of it since.
  [[nodiscard]] std::uint64_t expected_size() const { return expected_size_.load(); }

  [[nodiscard]] int fd() const { return fd_.get(); }

  /// Bytes on disk (st_blocks).
  [[nodiscard]] Result<std::uint64_t> allocated_bytes() const;

  /// Drops clean pages, so that what is read next comes from the device: after a failed flush of
  /// somebody who died, the page cache may show what the disk does not have.
  void forget_cached_pages() const;

 private:
  PosixFile(std::string path, UniqueFd fd, const struct stat& about, Access access);

  void open_direct();
  void grow_expected_size(std::uint64_t end);

  const std::string path_;
  const UniqueFd fd_;
  FileState opened_;
  const Access access_;
  /// See KernelFile::expected_size.
  std::atomic<std::uint64_t> expected_size_;
  /// Set by the first failed sync, never cleared.
  std::atomic<int> sync_error_{0};
  std::once_flag direct_once_;
  UniqueFd direct_fd_;
  std::uint32_t direct_alignment_ = 0;
};

}  // namespace blockpull::io
