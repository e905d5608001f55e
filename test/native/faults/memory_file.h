// SPDX-License-Identifier: Apache-2.0
//
// A File in memory, for images that a test builds byte by byte. The test has access to the bytes.

#pragma once

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/io/file.h"

namespace blockpull::faults {

class MemoryFile final : public io::File {
 public:
  explicit MemoryFile(std::vector<std::byte> content, std::string path = "memory.qcow2")
      : path_(std::move(path)), bytes_(std::move(content)) {}

  [[nodiscard]] std::vector<std::byte>& bytes() { return bytes_; }
  /// Reads that include the byte at `offset` fail with EIO.
  void break_at(std::uint64_t offset) { broken_.insert(offset); }
  /// Number of read_at calls.
  [[nodiscard]] std::size_t reads() const { return read_offsets_.size(); }
  /// The offset of each, in order.
  [[nodiscard]] const std::vector<std::uint64_t>& read_offsets() const { return read_offsets_; }
  void forget_reads() { read_offsets_.clear(); }

  [[nodiscard]] const std::string& path() const override { return path_; }
  [[nodiscard]] Result<std::uint64_t> size() override { return bytes_.size(); }

  [[nodiscard]] Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override {
    read_offsets_.push_back(offset);
    const auto broken = broken_.lower_bound(offset);
    if (broken != broken_.end() && *broken < offset + into.size()) {
      Error error = system_error("read", EIO, path_);
      error.offset = offset;
      return error;
    }
    const std::uint64_t begin = std::min<std::uint64_t>(offset, bytes_.size());
    const std::uint64_t count = std::min<std::uint64_t>(into.size(), bytes_.size() - begin);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(begin), count, into.begin());
    std::fill(into.begin() + static_cast<std::ptrdiff_t>(count), into.end(), std::byte{0});
    return {};
  }

  [[nodiscard]] Result<void> write_at(std::uint64_t offset,
                                      std::span<const std::byte> from) override {
    bytes_.resize(std::max<std::uint64_t>(bytes_.size(), offset + from.size()));
    std::copy(from.begin(), from.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }

  [[nodiscard]] Result<void> sync() override { return {}; }
  [[nodiscard]] bool sync_failed() const override { return false; }

  [[nodiscard]] Result<void> truncate(std::uint64_t size) override {
    bytes_.resize(size);
    return {};
  }

  [[nodiscard]] Result<void> allocate(std::uint64_t offset, std::uint64_t length) override {
    bytes_.resize(std::max<std::uint64_t>(bytes_.size(), offset + length));
    return {};
  }

  [[nodiscard]] Result<void> punch(std::uint64_t, std::uint64_t) override { return {}; }

  [[nodiscard]] Result<io::FileRun> run_at(std::uint64_t offset) override {
    return io::FileRun{offset, bytes_.size() - offset, false};
  }

  [[nodiscard]] io::KernelFile kernel_file() override { return {}; }

 private:
  const std::string path_;
  std::vector<std::byte> bytes_;
  std::vector<std::uint64_t> read_offsets_;
  std::set<std::uint64_t> broken_;
};

}  // namespace blockpull::faults
