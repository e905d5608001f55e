// SPDX-License-Identifier: Apache-2.0

#include "napi/name_bytes.h"

#include <algorithm>
#include <cstdint>

#include "core/qmp/utf8.h"

namespace blockpull::napi {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Each digit is six bits.
constexpr std::size_t kDigitsOfThreeBytes = 4;

std::string base64(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view three = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = (bits << 8U) | (i < three.size() ? static_cast<unsigned char>(three[i]) : 0U);
    }
    for (std::size_t digit = 0; digit < kDigitsOfThreeBytes; ++digit) {
      const std::uint32_t value = (bits >> (18U - 6U * digit)) & 63U;
      out += digit <= three.size() ? kDigits[value] : '=';
    }
  }
  return out;
}

bool is_held(std::string_view name) {
  return qmp::find_no_utf8(name) == std::string_view::npos;
}

}  // namespace

std::string bytes_beside(std::string_view name) {
  return is_held(name) ? std::string() : base64(name);
}

std::vector<std::string> bytes_beside(const std::vector<std::string>& names) {
  std::vector<std::string> bytes;
  if (!std::all_of(names.begin(), names.end(), is_held)) {
    for (const std::string& name : names) {
      bytes.push_back(base64(name));
    }
  }
  return bytes;
}

}  // namespace blockpull::napi
