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

/// Reads a header from the beginning of a file of `file_size` bytes. `first` holds the file's first
/// cluster, or the whole file when it is shorter (2 MiB, the largest cluster, are always enough).
/// kFormatUnknown: no qcow2 at all; kImageCorrupt: a field out of bounds; kFeatureUnsupported: a
/// version, a compression type or an incompatible bit that is unknown, the bit named from the
/// feature table where it is listed there.
[[nodiscard]] Result<Header> parse_header(std::span<const std::byte> first, std::uint64_t file_size,
                                          const std::string& path);

}  // namespace blockpull::image::qcow2
