// SPDX-License-Identifier: Apache-2.0
//
// An Image that consists only of its table: the test states each 512-byte sector.

#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/image/chain.h"
#include "faults/memory_file.h"

namespace blockpull::driver {

class TableImage final : public image::Image {
 public:
  static constexpr std::uint64_t kSector = 512;

  TableImage(std::uint64_t virtual_size, std::uint64_t cluster_size)
      : cluster_size_(cluster_size), size_(virtual_size), sectors_(virtual_size / kSector) {}

  /// Sets the guest bytes from `offset` on to `extent`: one whole compressed cluster, or a part of
  /// one.
  void set(std::uint64_t offset, const image::Extent& extent) {
    for (std::uint64_t at = 0; at < extent.length && offset + at < size_; at += kSector) {
      image::Extent sector = extent;
      sector.length = kSector;
      sector.host.value += extent.status == image::Status::kData ? at : 0;
      sector.offset_in_cluster += extent.status == image::Status::kCompressed ? at : 0;
      sectors_[(offset + at) / kSector] = sector;
    }
  }

  /// The file is an empty file in memory unless the test sets another.
  void set_file(std::unique_ptr<io::File> file) { file_ = std::move(file); }

  [[nodiscard]] const image::Extent& sector(std::uint64_t index) const { return sectors_[index]; }

  /// Not kQcow2, which identifies another class.
  [[nodiscard]] image::Format format() const override { return image::Format::kRaw; }
  [[nodiscard]] io::File& file() override { return *file_; }
  [[nodiscard]] std::uint64_t virtual_size() const override { return size_; }
  [[nodiscard]] std::uint64_t cluster_size() const override { return cluster_size_; }
  [[nodiscard]] const std::optional<image::BackingReference>& backing() const override {
    return none_;
  }
  [[nodiscard]] Result<void> check_walk() override { return {}; }
  [[nodiscard]] Result<image::Extent> status(image::GuestOffset offset,
                                             std::uint64_t length) override {
    std::uint64_t at = offset.value / kSector;
    image::Extent extent = sectors_[at];
    extent.length = kSector;
    for (; continues(sectors_[at], at); ++at) {
      extent.length += kSector;
    }
    extent.length = std::min(extent.length, length);
    return extent;
  }
  [[nodiscard]] Result<void> inflate(std::span<const std::byte>,
                                     std::span<std::byte>) const override {
    return {};
  }

 private:
  /// Whether the sector behind `at` continues the same run.
  [[nodiscard]] bool continues(const image::Extent& here, std::uint64_t at) const {
    if (at + 1 == sectors_.size() || sectors_[at + 1].status != here.status) {
      return false;
    }
    const image::Extent& next = sectors_[at + 1];
    switch (here.status) {
      case image::Status::kData:
        return next.host.value == here.host.value + kSector;
      case image::Status::kCompressed:
        return next.host == here.host && next.offset_in_cluster == here.offset_in_cluster + kSector;
      case image::Status::kZero:
      case image::Status::kUnallocated:
        break;
    }
    return true;
  }

  const std::uint64_t cluster_size_;
  const std::uint64_t size_;
  std::vector<image::Extent> sectors_;
  std::unique_ptr<io::File> file_ = std::make_unique<faults::MemoryFile>(std::vector<std::byte>());
  const std::optional<image::BackingReference> none_;
};

}  // namespace blockpull::driver
