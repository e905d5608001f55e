// SPDX-License-Identifier: Apache-2.0
//
// Every change goes into the log before it is applied, so log and content cannot disagree: the
// content is always the start with the log applied.

#include "faults/recording_file.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace blockpull::faults {
namespace {

constexpr std::uint64_t kSector = 512;

}  // namespace

void apply(const Change& change, Content& content) {
  switch (change.kind) {
    case Change::Kind::kWrite:
      content.write(change.offset, change.bytes);
      break;
    case Change::Kind::kPunch:
      content.zero(change.offset, change.length);
      break;
    case Change::Kind::kResize:
      content.resize(change.length);
      break;
    case Change::Kind::kSync:
    case Change::Kind::kFailedSync:
      break;
  }
}

RecordedDisk::RecordedDisk(Content durable, std::vector<Change> pending)
    : RecordedDisk(std::move(durable)) {
  for (Change& change : pending) {
    record(std::move(change));
  }
}

void RecordedDisk::record(Change change) {
  log_.push_back(std::move(change));
  apply(log_.back(), now_);
}

Result<void> RecordedDisk::write(std::uint64_t offset, std::span<const std::byte> from) {
  const std::uint64_t index = writes_++;
  const bool fails =
      index >= faults.failing_write && index - faults.failing_write < faults.failing_writes;
  const bool is_full = offset + from.size() > faults.space;
  std::span<const std::byte> reaches = from;
  if (is_full || index == faults.lost_write || (fails && !faults.tears_failing_write)) {
    reaches = {};
  } else if (fails) {
    const std::uint64_t middle = (offset + from.size() / 2) / kSector * kSector;
    reaches = from.first(middle > offset ? middle - offset : 0);
  }
  if (!reaches.empty()) {
    record({Change::Kind::kWrite, offset, 0, {reaches.begin(), reaches.end()}});
  }
  if (is_full || fails) {
    return system_error("write", is_full ? ENOSPC : faults.write_errno, path_);
  }
  return {};
}

Result<void> RecordedDisk::sync() {
  sync_failed_ |= syncs_++ == faults.failing_sync;
  if (sync_failed_) {
    record({Change::Kind::kFailedSync, 0, 0, {}});
    return system_error("fdatasync", EIO, path_);
  }
  record({Change::Kind::kSync, 0, 0, {}});
  return {};
}

Result<void> RecordedDisk::allocate(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t wanted = offset + length;
  const std::uint64_t granted = faults.can_preallocate ? std::min(wanted, faults.space) : wanted;
  if (granted > now_.size()) {
    resize(granted);
  }
  return granted < wanted ? Result<void>(system_error("fallocate", ENOSPC, path_)) : Result<void>();
}

void RecordedDisk::resize(std::uint64_t size) {
  record({Change::Kind::kResize, 0, size, {}});
}

void RecordedDisk::punch(std::uint64_t offset, std::uint64_t length) {
  record({Change::Kind::kPunch, offset, length, {}});
}

Result<void> RecordingFile::read_at(std::uint64_t offset, std::span<std::byte> into) {
  disk_->now().read(offset, into);
  return {};
}

Result<void> RecordingFile::write_at(std::uint64_t offset, std::span<const std::byte> from) {
  return disk_->write(offset, from);
}

Result<void> RecordingFile::truncate(std::uint64_t size) {
  disk_->resize(size);
  return {};
}

Result<void> RecordingFile::allocate(std::uint64_t offset, std::uint64_t length) {
  return disk_->allocate(offset, length);
}

Result<void> RecordingFile::punch(std::uint64_t offset, std::uint64_t length) {
  disk_->punch(offset, length);
  return {};
}

Result<io::FileRun> RecordingFile::run_at(std::uint64_t offset) {
  const Content& content = disk_->now();
  const std::uint64_t data = content.next_data(offset);
  if (data > offset) {
    return io::FileRun{offset, data - offset, true};
  }
  return io::FileRun{offset, content.next_hole(offset) - offset, false};
}

}  // namespace blockpull::faults
