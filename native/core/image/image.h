// SPDX-License-Identifier: Apache-2.0
//
// What every image format can report, and nothing about how data is moved. `chain.h` has the only
// way to an image whose data is read.
//
// Thread rule: one thread at a time, since a status call fills the layer's table cache. Otherwise
// immutable.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/base/result.h"
#include "core/image/extent.h"
#include "core/io/file.h"

namespace blockpull::image {

enum class Format : std::uint8_t { kRaw, kQcow2 };

/// "raw" or "qcow2".
[[nodiscard]] const char* format_name(Format format);

/// The format of that name. kFeatureUnsupported names QED and every other format that is not
/// supported.
[[nodiscard]] Result<Format> parse_format(const std::string& name);

/// The backing file as the header states it, byte for byte.
struct BackingReference {
  std::string name;
  /// Empty if the header states none.
  std::string format;
};

class Image {
 public:
  virtual ~Image() = default;

  [[nodiscard]] virtual Format format() const = 0;
  [[nodiscard]] virtual io::File& file() = 0;

  /// Bytes the guest sees; a multiple of 512.
  [[nodiscard]] virtual std::uint64_t virtual_size() const = 0;

  /// Bytes in a cluster, 0 for raw.
  [[nodiscard]] virtual std::uint64_t cluster_size() const = 0;

  [[nodiscard]] virtual const std::optional<BackingReference>& backing() const = 0;

  /// The run that begins at `offset`. It is at least one byte, at most `length`, and as long as is
  /// cheap to determine: up to the end of a table slice, or over all absent tables. `offset +
  /// length <= virtual_size()`. A damaged table is kImageCorrupt.
  [[nodiscard]] virtual Result<Extent> status(GuestOffset offset, std::uint64_t length) = 0;

  /// Guest bytes that one table entry describes, if classify() is supported; 0 if only status() is.
  [[nodiscard]] virtual std::uint64_t entry_span() const { return 0; }

  /// Writes the status of the units that begin at `offset` into `into`, as many as it has room for,
  /// all inside virtual_size(). `offset` and entry_span() are multiples of `unit`, a power of two.
  /// Returns how many it wrote: a damaged entry ends the row, and status() then says why.
  [[nodiscard]] virtual Result<std::size_t> classify(GuestOffset offset, std::uint64_t unit,
                                                     std::span<Status> into);

  /// Checks that a walk over the whole image costs no more than the length of its file. An image
  /// that uses one table again and again makes a small file as costly as its virtual size:
  /// kImageCorrupt.
  [[nodiscard]] virtual Result<void> check_walk() = 0;

  /// Inflates one cluster. `compressed` are the bytes of a kCompressed extent; `into` is
  /// cluster_size() long. Safe from several threads at once.
  [[nodiscard]] virtual Result<void> inflate(std::span<const std::byte> compressed,
                                             std::span<std::byte> into) const = 0;
};

/// Fills `into` with the bytes at the beginning of `extent`, or zeros if it has none. Blocks.
[[nodiscard]] Result<void> read_extent(Image& image, const Extent& extent,
                                       std::span<std::byte> into);

}  // namespace blockpull::image
