// SPDX-License-Identifier: Apache-2.0
//
// Sentences from pieces: `text("cluster_bits is ", bits, " in '", path, "'")`.
//
// g++ 12 has no <format>. Messages only need strings and integers put one after another, so there
// is only one variadic function. Numbers are decimal; `Hex{n}` prints 0x….

#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace blockpull {

/// Prints as 0x followed by lower-case digits.
struct Hex {
  std::uint64_t value;
};

namespace text_detail {

inline void append(std::string& out, std::string_view piece) {
  out += piece;
}

inline void append_digits(std::string& out, std::integral auto value, int radix) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, radix).ptr;
  out.append(digits, end);
}

inline void append(std::string& out, std::integral auto value) {
  append_digits(out, value, 10);
}

inline void append(std::string& out, Hex hex) {
  out += "0x";
  append_digits(out, hex.value, 16);
}

}  // namespace text_detail

[[nodiscard]] std::string text(const auto&... pieces) {
  std::string out;
  (text_detail::append(out, pieces), ...);
  return out;
}

}  // namespace blockpull
