// SPDX-License-Identifier: Apache-2.0
//
// The format of a file by its magic, for the one image that a person names by hand. A backing file
// is never probed, its overlay says what it is; and nothing is ever told to be raw, because a guest
// that owns a raw disk can write any magic into it, and a header that names any file of the host as
// its backing file.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/result.h"
#include "core/image/image.h"

namespace blockpull::image {

/// Enough of a file's beginning for format_by_magic().
inline constexpr std::size_t kMagicBytes = 32;

/// The name of the image format that a file of these first bytes is in; empty for none that is
/// known, which is also said of every raw disk with a boot sector or a filesystem.
[[nodiscard]] std::string_view format_by_magic(std::span<const std::byte> first);

enum class Magic : std::uint8_t { kNone, kQcow2, kQed };

/// What the first bytes of a file say; kNone also when there are fewer than four.
[[nodiscard]] Magic magic_of(std::span<const std::byte> first);

/// kFormatUnknown when `file` is no image that is known, with the hint to say "raw"; QED is
/// kFeatureUnsupported.
[[nodiscard]] Result<Format> probe_format(io::File& file);

/// kFeatureUnsupported when `file` is a QED image.
[[nodiscard]] Result<void> refuse_qed(io::File& file);

}  // namespace blockpull::image
