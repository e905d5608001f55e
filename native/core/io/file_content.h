// SPDX-License-Identifier: Apache-2.0
//
// Reads the bytes of a part of a file, without its holes:
//
//     │ data │ hole │ data │      passed on a MiB at a time; holes are not read
//
// Thread rule: the file's.

#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/base/result.h"
#include "core/io/file.h"

namespace blockpull::io {

/// Gets the offset of the bytes, and the bytes, which it may change. False: stop.
using TakeContent = std::function<Result<bool>(std::uint64_t offset, std::span<std::byte> bytes)>;

/// Passes on the data in [from, to), which lies before the end of the file. False if `take` stopped
/// it.
[[nodiscard]] Result<bool> read_content(File& file, std::uint64_t from, std::uint64_t to,
                                        const TakeContent& take);

/// Offset of the first byte of [from, to) that is not zero, or `to`; holes are not read.
[[nodiscard]] Result<std::uint64_t> first_nonzero(File& file, std::uint64_t from, std::uint64_t to);

}  // namespace blockpull::io
