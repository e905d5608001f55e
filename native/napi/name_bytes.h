// SPDX-License-Identifier: Apache-2.0
//
// A file's name is bytes, but JavaScript's strings are not. A name that is not UTF-8 becomes a
// string with U+FFFD for the invalid parts; beside it go its bytes in base64, by which the file can
// be named again. All other names go without bytes.
//
// Pure functions.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace blockpull::napi {

/// "" for a name that a string can hold.
[[nodiscard]] std::string bytes_beside(std::string_view name);

/// The bytes of every name, whether a string can hold it or not; empty if strings can hold them
/// all.
[[nodiscard]] std::vector<std::string> bytes_beside(const std::vector<std::string>& names);

}  // namespace blockpull::napi
