// SPDX-License-Identifier: Apache-2.0
//
// Reads and judges a qcow2 header and its extensions. Everything that can be wrong with a header is
// found here, before any table is read, with QEMU's bounds (`layout.h`, `core/base/limits.h`).
// Whether a *table* lies in the file is checked here too, so no later code allocates for a table
// that cannot be there. Parsing touches no file: the first cluster (or what there is of it) comes
// in as bytes.

#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.h"
#include "core/image/qcow2/header.h"

namespace blockpull::image::qcow2 {

/// Reads a header from the beginning of a file of `file_size` bytes. `first` has the file's first
/// cluster, or the whole file if it is shorter (2 MiB, the largest cluster, are always enough).
/// kFormatUnknown: not a qcow2 image. kImageCorrupt: a field out of bounds. kFeatureUnsupported: an
/// unknown version, compression type or incompatible bit; the bit has its name from the feature
/// table if that lists it.
[[nodiscard]] Result<Header> parse_header(std::span<const std::byte> first, std::uint64_t file_size,
                                          const std::string& path);

}  // namespace blockpull::image::qcow2
