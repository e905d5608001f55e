// SPDX-License-Identifier: Apache-2.0
//
// Metadata in slices. A table can be 32 MiB and a process can have a thousand jobs, so no table is
// ever held whole. `limits::kTableSlice` bytes are read at a time and the few most recently used
// slices are kept. Writes go to the file and into the slice at once. A failed write drops the
// slice, so that memory never shows what the file may not have.
//
//     file   │ slice 0 │ slice 1 │ slice 2 │ …     aligned to kTableSlice, whatever they contain
//
// Thread rule: one thread at a time.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/io/file.h"

namespace blockpull::image::qcow2 {

class TableCache {
 public:
  explicit TableCache(io::File& file) : file_(file) {}

  /// The big-endian entry at `host_offset`, a multiple of 8.
  [[nodiscard]] Result<std::uint64_t> load(std::uint64_t host_offset);

  /// The bytes from `host_offset` to the end of its slice, valid until the next call. A walk over
  /// many entries then needs no look-up for each.
  [[nodiscard]] Result<std::span<const std::byte>> view(std::uint64_t host_offset);

  /// Writes to the file, and into the slices that hold these bytes.
  [[nodiscard]] Result<void> store(std::uint64_t host_offset, std::span<const std::byte> bytes);

 private:
  struct Slice {
    std::uint64_t offset = 0;
    std::uint64_t used = 0;
    std::vector<std::byte> bytes;
  };

  [[nodiscard]] Result<Slice*> slice_at(std::uint64_t host_offset);
  /// Empties the slice and makes it the first to be reused.
  static void forget(Slice& slice);

  io::File& file_;
  std::vector<Slice> slices_;
  std::uint64_t uses_ = 0;
};

}  // namespace blockpull::image::qcow2
