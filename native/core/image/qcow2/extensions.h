// SPDX-License-Identifier: Apache-2.0
//
// The header extensions: records between the header's end and the backing file's name.
//
//     header_length                                    backing_file_offset, else end of cluster 0
//     │ type 4 │ length 4 │ data … pad to 8 │ … │ 0 │ 0 │ … │
//
// One pass finds the records; a second one checks the known ones. A header with an unknown
// incompatible bit must be refused for exactly that bit, and one of these very records names it.

#pragma once

#include <span>
#include <string>

#include "core/base/result.h"
#include "core/image/qcow2/header.h"

namespace blockpull::image::qcow2 {

/// The data of `extension` in the first cluster.
[[nodiscard]] std::span<const std::byte> extension_data(const Extension& extension,
                                                        std::span<const std::byte> first);

/// Fills `header.extensions`, `extensions_end` and `has_end_marker` from the first cluster.
[[nodiscard]] Result<void> find_extensions(Header& header, std::span<const std::byte> first,
                                           const std::string& path);

/// Checks and reads the known extensions.
[[nodiscard]] Result<void> read_extensions(Header& header, std::span<const std::byte> first,
                                           const std::string& path);

/// The name that the image's feature table gives to incompatible bit `bit`, only printable
/// characters; may be empty.
[[nodiscard]] std::string incompatible_feature_name(const Header& header,
                                                    std::span<const std::byte> first, unsigned bit);

}  // namespace blockpull::image::qcow2
