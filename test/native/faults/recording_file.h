// SPDX-License-Identifier: Apache-2.0
//
// A file in memory that records every change and every sync, and can fail on demand.
//
//     RecordedDisk   the content of the file, and the log that led to it; the test keeps it
//     RecordingFile  the io::File over it, which the image owns
//
// `crash_states.h` makes crash states from the log: everything before the last sync that returned
// is durable, and any part of what came after it may be. A failed sync adds no sync to the log, and
// every later one fails too, as io::File promises.
//
// The descriptor is -1, so request queues serve the file through read_at and write_at. Thread rule:
// one thread, as in `inline_host.h`; a file that is only read may be read by many.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/io/file.h"
#include "faults/content.h"

namespace blockpull::faults {

inline constexpr std::uint64_t kNever = UINT64_MAX;

/// One entry of the log.
struct Change {
  enum class Kind : std::uint8_t { kWrite, kPunch, kResize, kSync, kFailedSync };

  Kind kind = Kind::kSync;
  /// kWrite, kPunch: the offset.
  std::uint64_t offset = 0;
  /// kPunch: how many bytes. kResize: the new length of the file.
  std::uint64_t length = 0;
  /// kWrite: the bytes.
  std::vector<std::byte> bytes;
};

/// Which calls fail, and how. Calls are counted from 0, each kind separately.
struct Faults {
  std::uint64_t failing_write = kNever;
  std::uint64_t failing_sync = kNever;
  /// How many writes fail, starting with the failing one.
  std::uint64_t failing_writes = 1;
  int write_errno = 5;
  /// A failing write reaches the disk up to its middle, rounded down to a sector.
  bool tears_failing_write = false;
  /// The write that is reported as done but is lost.
  std::uint64_t lost_write = kNever;
  /// Bytes that the file may have; a change beyond that fails with ENOSPC.
  std::uint64_t space = kNever;
  /// If false, allocate() only makes the file longer, and the write finds no space.
  bool can_preallocate = true;
};

class RecordedDisk {
 public:
  explicit RecordedDisk(Content start, std::string path = "active.qcow2")
      : path_(std::move(path)), start_(start), now_(std::move(start)) {}

  /// A disk whose last user died: no sync has covered its changes `pending`.
  RecordedDisk(Content durable, std::vector<Change> pending);

  Faults faults;

  [[nodiscard]] const std::string& path() const { return path_; }
  /// The content before the first entry of the log.
  [[nodiscard]] const Content& start() const { return start_; }
  /// The content with every change, synced or not.
  [[nodiscard]] const Content& now() const { return now_; }
  [[nodiscard]] const std::vector<Change>& log() const { return log_; }
  [[nodiscard]] std::uint64_t writes() const { return writes_; }
  [[nodiscard]] std::uint64_t syncs() const { return syncs_; }
  [[nodiscard]] bool sync_failed() const { return sync_failed_; }

  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> from);
  [[nodiscard]] Result<void> sync();
  [[nodiscard]] Result<void> allocate(std::uint64_t offset, std::uint64_t length);
  void resize(std::uint64_t size);
  void punch(std::uint64_t offset, std::uint64_t length);

 private:
  void record(Change change);

  const std::string path_;
  const Content start_;
  Content now_;
  std::vector<Change> log_;
  std::uint64_t writes_ = 0;
  std::uint64_t syncs_ = 0;
  bool sync_failed_ = false;
};

/// Applies `change` to `content`; syncs do nothing.
void apply(const Change& change, Content& content);

class RecordingFile final : public io::File {
 public:
  explicit RecordingFile(std::shared_ptr<RecordedDisk> disk) : disk_(std::move(disk)) {}

  [[nodiscard]] const std::string& path() const override { return disk_->path(); }
  [[nodiscard]] Result<std::uint64_t> size() override { return disk_->now().size(); }
  [[nodiscard]] Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override;
  [[nodiscard]] Result<void> write_at(std::uint64_t offset,
                                      std::span<const std::byte> from) override;
  [[nodiscard]] Result<void> sync() override { return disk_->sync(); }
  [[nodiscard]] bool sync_failed() const override { return disk_->sync_failed(); }
  [[nodiscard]] Result<void> truncate(std::uint64_t size) override;
  [[nodiscard]] Result<void> allocate(std::uint64_t offset, std::uint64_t length) override;
  [[nodiscard]] Result<void> punch(std::uint64_t offset, std::uint64_t length) override;
  [[nodiscard]] Result<io::FileRun> run_at(std::uint64_t offset) override;
  [[nodiscard]] io::KernelFile kernel_file() override { return {}; }

 private:
  const std::shared_ptr<RecordedDisk> disk_;
};

}  // namespace blockpull::faults
