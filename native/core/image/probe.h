// SPDX-License-Identifier: Apache-2.0
//
// The format of a file by its magic, for the one image that a user names. A backing file is never
// probed: its overlay states its format. No file is ever recognized as raw. A guest that owns a raw
// disk can write any magic into it, and a header that names any file of the host as its backing
// file.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/result.h"
#include "core/image/image.h"

namespace blockpull::image {

/// Bytes at the beginning of a file that format_by_magic() needs.
inline constexpr std::size_t kMagicBytes = 32;

/// The name of the image format with these first bytes. Empty for an unknown one, as for every raw
/// disk with a boot sector or a filesystem.
[[nodiscard]] std::string_view format_by_magic(std::span<const std::byte> first);

enum class Magic : std::uint8_t { kNone, kQcow2, kQed };

/// The magic in the first bytes of a file; kNone also if there are fewer than four.
[[nodiscard]] Magic magic_of(std::span<const std::byte> first);

/// kFormatUnknown if `file` is not a known image, with the hint to say "raw". QED is
/// kFeatureUnsupported.
[[nodiscard]] Result<Format> probe_format(io::File& file);

/// kFeatureUnsupported if `file` is a QED image.
[[nodiscard]] Result<void> refuse_qed(io::File& file);

}  // namespace blockpull::image
