// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a part of a file that lie in no hole:
//
//     │ data │ hole │ data │      given a MiB at a time; of a hole nothing is read
//
// Thread rule: the file's.

#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/base/result.h"
#include "core/io/file.h"

namespace blockpull::io {

/// Where the bytes begin, and the bytes; they may be changed. False: no more are wanted.
using TakeContent = std::function<Result<bool>(std::uint64_t offset, std::span<std::byte> bytes)>;

/// Gives the data in [from, to), which lies before the end of the file. False where `take` wanted
/// no more.
[[nodiscard]] Result<bool> read_content(File& file, std::uint64_t from, std::uint64_t to,
                                        const TakeContent& take);

/// Where the first byte of [from, to) lies that is not zero, or `to`; holes are not read.
[[nodiscard]] Result<std::uint64_t> first_nonzero(File& file, std::uint64_t from, std::uint64_t to);

}  // namespace blockpull::io
