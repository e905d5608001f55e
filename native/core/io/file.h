// SPDX-License-Identifier: Apache-2.0
//
// Bytes at offsets. A File stores an image: positional reads and writes, no file position, no
// buffering of its own. The calls here block and are for metadata; most guest data goes through
// `io/request.h` with many requests in flight.
//
// Thread rule: any thread; the caller must not let two writes overlap. `test/native/faults`
// implements this interface in memory, and records what was synced.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.h"

namespace blockpull::io {

/// How a kernel file takes requests from a ring. Files that exist only in tests have fd -1 and are
/// served by read_at/write_at.
struct KernelFile {
  int fd = -1;
  /// A second descriptor of the same file opened with O_DIRECT; -1 if the filesystem does not
  /// support it.
  int direct_fd = -1;
  /// O_DIRECT requires offsets, lengths and addresses to be multiples of this.
  std::uint32_t direct_alignment = 0;
  /// Bytes that the file had when it was opened, or has through our own writes. If a read meets an
  /// earlier end, somebody else has truncated the file.
  std::uint64_t expected_size = 0;
};

/// A part of a sparse file: [offset, offset + length) is a hole, or holds data.
struct FileRun {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool hole = false;
};

class File {
 public:
  virtual ~File() = default;

  /// The name by which it was opened, for messages.
  [[nodiscard]] virtual const std::string& path() const = 0;

  /// Length in bytes.
  [[nodiscard]] virtual Result<std::uint64_t> size() = 0;

  /// Fills `into`. Bytes past the end of the file read as zeros; kLocked if the file had them when
  /// it was opened, since somebody has truncated it.
  [[nodiscard]] virtual Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) = 0;

  /// Writes all of `from`, or fails. Nothing is durable before sync().
  [[nodiscard]] virtual Result<void> write_at(std::uint64_t offset,
                                              std::span<const std::byte> from) = 0;

  /// Makes every write that has returned, and the file's length, durable (fdatasync). A failure is
  /// final: Linux reports a lost write once, and then shows bytes that the disk does not have.
  /// Every later call therefore fails too, without asking the kernel.
  [[nodiscard]] virtual Result<void> sync() = 0;

  /// Whether a sync has failed; after that, no written data may be relied on.
  [[nodiscard]] virtual bool sync_failed() const = 0;

  [[nodiscard]] virtual Result<void> truncate(std::uint64_t size) = 0;

  /// Makes sure that [offset, offset + length) has space and that the file is at least that long.
  /// The new bytes read as zeros. If the filesystem cannot preallocate, only the length grows.
  [[nodiscard]] virtual Result<void> allocate(std::uint64_t offset, std::uint64_t length) = 0;

  /// Releases the space of a range, which then reads as zeros or as before. Best effort: it is no
  /// error if the filesystem cannot do it.
  [[nodiscard]] virtual Result<void> punch(std::uint64_t offset, std::uint64_t length) = 0;

  /// The run that begins at `offset`, which lies before the end of the file. kLocked if somebody
  /// has truncated the file.
  [[nodiscard]] virtual Result<FileRun> run_at(std::uint64_t offset) = 0;

  /// Whether [offset, offset + length), which lies before the end of the file, is known to be a
  /// hole. Its zeros then need not be read.
  [[nodiscard]] Result<bool> is_hole(std::uint64_t offset, std::uint64_t length) {
    BLOCKPULL_TRY(run, run_at(offset));
    return run.hole && run.length >= length;
  }

  [[nodiscard]] virtual KernelFile kernel_file() = 0;
};

}  // namespace blockpull::io
