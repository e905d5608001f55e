// SPDX-License-Identifier: Apache-2.0
//
// A raw image: the file is the disk. Its size is the file's size rounded up to 512; the missing
// tail reads as zeros. Holes (SEEK_HOLE) are zeros that need not be copied. A filesystem without
// hole detection reports data.
//
// The last run is remembered. A walk asks for many small parts of one long run, and finding the end
// of a long run costs the filesystem a walk over its own tables.

#pragma once

#include <memory>

#include "core/image/image.h"

namespace blockpull::image {

class RawImage final : public Image {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RawImage>> open(std::unique_ptr<io::File> file);

  [[nodiscard]] Format format() const override { return Format::kRaw; }

  [[nodiscard]] io::File& file() override { return *file_; }

  [[nodiscard]] std::uint64_t virtual_size() const override { return virtual_size_; }

  [[nodiscard]] std::uint64_t cluster_size() const override { return 0; }

  [[nodiscard]] const std::optional<BackingReference>& backing() const override { return backing_; }

  [[nodiscard]] Result<Extent> status(GuestOffset offset, std::uint64_t length) override;
  [[nodiscard]] Result<void> check_walk() override { return {}; }
  [[nodiscard]] Result<void> inflate(std::span<const std::byte> compressed,
                                     std::span<std::byte> into) const override;

 private:
  RawImage(std::unique_ptr<io::File> file, std::uint64_t virtual_size);

  const std::unique_ptr<io::File> file_;
  const std::uint64_t virtual_size_;
  const std::optional<BackingReference> backing_;
  /// In whole sectors; empty before the first call.
  io::FileRun last_run_;
};

}  // namespace blockpull::image
