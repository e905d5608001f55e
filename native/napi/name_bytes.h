// SPDX-License-Identifier: Apache-2.0
//
// A file's name is bytes; JavaScript's strings are not. A name that is no UTF-8 becomes a string in
// which U+FFFD stands for what is none, and beside it go its bytes in base64, by which the file can
// be named again. Every other name goes without.
//
// Pure functions.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace blockpull::napi {

/// "" for a name that a string holds.
[[nodiscard]] std::string bytes_beside(std::string_view name);

/// Of each name, whether a string holds it or not; empty where strings hold them all.
[[nodiscard]] std::vector<std::string> bytes_beside(const std::vector<std::string>& names);

}  // namespace blockpull::napi
