// SPDX-License-Identifier: Apache-2.0
//
// A File on a Linux filesystem, and the only code that opens one.
//
//     open ── lock (io/lock.h) ── read the header ── use
//
// There are two descriptors of one inode: a buffered one for metadata, and one with O_DIRECT for
// most of the data. The second is opened through /proc/self/fd when it is first needed; with it a
// pull neither fills the page cache nor pays for copying through it. Both are closed with the
// object. Locks belong to the first.

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

/// The inode that `path` leads to, without opening it; symbolic links are followed.
[[nodiscard]] Result<FileId> identify(const std::string& path);

/// Whether `path` leads to that inode; false if that cannot be determined.
[[nodiscard]] bool leads_to(const std::string& path, FileId file);

/// kInvalidArgument: `path` was to be created but exists.
[[nodiscard]] Error exists_error(const std::string& path);

/// The error that opening `path` for writing would give, without opening it: kReadOnly or
/// kAccessDenied.
[[nodiscard]] Result<void> check_writable(const std::string& path);

class PosixFile final : public File {
 public:
  /// Opens an existing regular file. Anything else (directory, FIFO, device, socket) is
  /// kUnsupported; opening never blocks on a FIFO. Read-write access to a read-only file is
  /// kReadOnly.
  [[nodiscard]] static Result<std::unique_ptr<PosixFile>> open(const std::string& path,
                                                               Access access);

  /// Creates a new file with mode 0644 less the umask. An existing file is kInvalidArgument and is
  /// not touched.
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

  /// Records the present state of the file as its state at the open. To be called once the file is
  /// locked, before anything is read. Waits as state_after_tick() does.
  [[nodiscard]] Result<void> note_state();

  /// The state when it was opened, or recorded by note_state().
  [[nodiscard]] const FileState& opened() const { return opened_; }

  /// The state now.
  [[nodiscard]] Result<FileState> state() const { return state_of(fd_.get(), path_); }

  /// Bytes that the file must have: those at the open, or after our own writes.
  [[nodiscard]] std::uint64_t expected_size() const { return expected_size_.load(); }

  [[nodiscard]] int fd() const { return fd_.get(); }

  /// Bytes on disk (st_blocks).
  [[nodiscard]] Result<std::uint64_t> allocated_bytes() const;

  /// Drops clean pages, so that later reads come from the device. After a failed flush of a process
  /// that died, the page cache may show data that the disk does not have.
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
