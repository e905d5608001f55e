// SPDX-License-Identifier: Apache-2.0

#include "core/qmp/splitter.h"

#include <array>
#include <utility>

#include "core/base/text.h"

namespace blockpull::qmp {
namespace {

bool is_space(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/// The bytes that have a meaning outside of strings, and inside.
constexpr std::array<bool, 256> table_of(std::string_view bytes) {
  std::array<bool, 256> table = {};
  for (const char byte : bytes) {
    table[static_cast<unsigned char>(byte)] = true;
  }
  return table;
}

constexpr std::array<bool, 256> kOutside = table_of("\"{}[],");
constexpr std::array<bool, 256> kInside = table_of("\"\\");

/// The first byte from `at` on that is in `table`, or the end. Nearly all time is spent here.
std::size_t find(const std::array<bool, 256>& table, std::string_view bytes, std::size_t at) {
  while (at < bytes.size() && !table[static_cast<unsigned char>(bytes[at])]) {
    ++at;
  }
  return at;
}

}  // namespace

Result<void> Splitter::fail(std::string message) {
  closed_ = true;
  begun_.clear();
  return make_error(ErrorKind::kMonitorLost, std::move(message));
}

/// From `at`, inside a string, to the byte after its last quote, or to the end of `bytes`.
std::size_t Splitter::pass_string(std::string_view bytes, std::size_t at) {
  while (at < bytes.size()) {
    if (escaped_) {
      escaped_ = false;
      ++at;
      continue;
    }
    at = find(kInside, bytes, at);
    if (at == bytes.size()) {
      break;
    }
    if (bytes[at++] == '"') {
      in_string_ = false;
      break;
    }
    escaped_ = true;
  }
  return at;
}

/// From `at`, inside an object, to the byte after its last bracket, or to the end of `bytes`. The
/// object has ended if depth_ is 0.
Result<std::size_t> Splitter::pass(std::string_view bytes, std::size_t at) {
  while (at < bytes.size()) {
    if (in_string_) {
      at = pass_string(bytes, at);
      continue;
    }
    at = find(kOutside, bytes, at);
    if (at == bytes.size()) {
      break;
    }
    const char byte = bytes[at++];
    if (byte == '"') {
      in_string_ = true;
    } else if (byte == '{' || byte == '[') {
      ++depth_;
      ++values_;
    } else if (byte == ',') {
      ++values_;
    } else if (--depth_ == 0) {
      return at;
    }
    if (depth_ > kObjectDepth) {
      return fail(text("message nests deeper than ", kObjectDepth, " levels")).error();
    }
    if (values_ > kObjectValues) {
      return fail(text("message has more than ", kObjectValues, " values")).error();
    }
  }
  return at;
}

/// Closed during the call. A receiver that returns false may have destroyed the splitter, so no
/// member is touched after such a call.
bool Splitter::hand_out(std::string_view rest, const Receiver& receive) {
  values_ = 0;
  closed_ = true;
  bool goes_on = false;
  if (begun_.empty()) {
    goes_on = receive(rest);
  } else {
    begun_ += rest;
    const std::string whole = std::exchange(begun_, {});
    goes_on = receive(whole);
  }
  if (goes_on) {
    closed_ = false;
  }
  return goes_on;
}

Result<void> Splitter::feed(std::string_view bytes, const Receiver& receive) {
  if (closed_) {
    return make_error(ErrorKind::kMonitorLost, "monitor is no longer read");
  }
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (depth_ == 0 && is_space(bytes[at])) {
      ++at;
      continue;
    }
    if (depth_ == 0 && bytes[at] != '{') {
      return fail(
          text("byte ", Hex{static_cast<unsigned char>(bytes[at])}, " does not start a message"));
    }
    BLOCKPULL_TRY(end, pass(bytes, at));
    const std::string_view rest = bytes.substr(at, end - at);
    // An unfinished object needs at least one more byte.
    if (begun_.size() + rest.size() + (depth_ > 0 ? 1 : 0) > kObjectBytes) {
      return fail(text("message has more than ", kObjectBytes, " bytes"));
    }
    at = end;
    if (depth_ > 0) {
      begun_ += rest;
    } else if (!hand_out(rest, receive)) {
      return {};
    }
  }
  return {};
}

}  // namespace blockpull::qmp
