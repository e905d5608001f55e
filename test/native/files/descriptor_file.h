// SPDX-License-Identifier: Apache-2.0
//
// A File with only descriptors, which the test chooses: closed ones, devices, one that lies about
// O_DIRECT. Only queues can use it.

#pragma once

#include <string>

#include "core/io/file.h"

namespace blockpull::files {

class DescriptorFile final : public io::File {
 public:
  explicit DescriptorFile(io::KernelFile kernel_file) : kernel_file_(kernel_file) {}

  [[nodiscard]] const std::string& path() const override { return path_; }
  [[nodiscard]] io::KernelFile kernel_file() override { return kernel_file_; }
  [[nodiscard]] bool sync_failed() const override { return false; }

  [[nodiscard]] Result<std::uint64_t> size() override { return refusal(); }
  [[nodiscard]] Result<void> read_at(std::uint64_t, std::span<std::byte>) override {
    return refusal();
  }
  [[nodiscard]] Result<void> write_at(std::uint64_t, std::span<const std::byte>) override {
    return refusal();
  }
  [[nodiscard]] Result<void> sync() override { return refusal(); }
  [[nodiscard]] Result<void> truncate(std::uint64_t) override { return refusal(); }
  [[nodiscard]] Result<void> allocate(std::uint64_t, std::uint64_t) override { return refusal(); }
  [[nodiscard]] Result<void> punch(std::uint64_t, std::uint64_t) override { return refusal(); }
  [[nodiscard]] Result<io::FileRun> run_at(std::uint64_t) override { return refusal(); }

 private:
  static Error refusal() { return make_error(ErrorKind::kUnsupported, "descriptors only"); }

  const std::string path_ = "descriptors";
  const io::KernelFile kernel_file_;
};

}  // namespace blockpull::files
