// SPDX-License-Identifier: Apache-2.0
//
// json-c keeps integers as int64 or uint64, whichever fits. An integer that fits neither would
// silently become the nearest bound. So parse() looks for such numbers first and hands them over
// with an exponent, which makes them what they are to QEMU: numbers, but not integers.

#include "core/qmp/json.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <utility>

#include <json-c/json.h>

#include "core/base/text.h"
#include "core/qmp/splitter.h"
#include "core/qmp/utf8.h"

namespace blockpull::qmp {
namespace {

/// Digits of the shortest integers that may not fit into 64 bits.
constexpr std::size_t kLongDigits = 19;

bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

/// Whether that many digits stand in a row anywhere. A row of n covers one of every n bytes, so
/// only every n-th byte is checked.
bool has_long_digits(std::string_view text) {
  for (std::size_t at = kLongDigits - 1; at < text.size(); at += kLongDigits) {
    if (is_digit(text[at])) {
      std::size_t begin = at;
      while (begin > 0 && is_digit(text[begin - 1])) {
        --begin;
      }
      const std::size_t end = std::min(text.find_first_not_of("0123456789", at), text.size());
      if (end - begin >= kLongDigits) {
        return true;
      }
    }
  }
  return false;
}

bool fits_64_bits(std::string_view number) {
  std::int64_t negative = 0;
  std::uint64_t other = 0;
  const char* const end = number.data() + number.size();
  return number.front() == '-' ? std::from_chars(number.data(), end, negative).ec == std::errc()
                               : std::from_chars(number.data(), end, other).ec == std::errc();
}

/// `text` with an exponent after each integer that does not fit into 64 bits.
std::string without_overflow(std::string_view text) {
  std::string out;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    if (in_string) {
      end += text[at] == '\\' && end < text.size() ? 1 : 0;
    } else if (is_digit(text[at]) || text[at] == '-') {
      end = std::min(text.find_first_not_of("0123456789.eE+-", at), text.size());
    }
    const std::string_view piece = text.substr(at, end - at);
    in_string = in_string != (piece == "\"");
    out += piece;
    if (piece.size() >= kLongDigits && piece.find_first_of(".eE") == std::string_view::npos &&
        !fits_64_bits(piece)) {
      out += "e0";
    }
    at = end;
  }
  return out;
}

struct Parsed {
  json_object* value = nullptr;
  json_tokener_error error = json_tokener_success;
};

/// Deep enough for nearly all messages. json-c allocates and clears 48 bytes for each possible
/// level. For kObjectDepth that would cost more than the parsing of an event.
constexpr std::size_t kUsualLevels = 32;

Parsed parse_with(std::string_view text, std::size_t levels) {
  json_tokener* const tokener = json_tokener_new_ex(static_cast<int>(levels));
  if (tokener == nullptr) {
    // As `new` does without exceptions.
    std::abort();
  }
  json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
  Parsed parsed;
  parsed.value = json_tokener_parse_ex(tokener, text.data(), static_cast<int>(text.size()));
  parsed.error = json_tokener_get_error(tokener);
  // json-c stops at a NUL as if nothing followed.
  if (parsed.error == json_tokener_success && json_tokener_get_parse_end(tokener) != text.size()) {
    parsed.error = json_tokener_error_parse_unexpected;
  }
  json_tokener_free(tokener);
  return parsed;
}

Error not_json(std::string_view given, std::string_view why) {
  return make_error(ErrorKind::kMonitorLost,
                    blockpull::text("message '", excerpt(given), "' is not JSON: ", why));
}

}  // namespace

Json::Json(const Json& other) : value_(json_object_get(other.value_)) {}

Json::Json(Json&& other) noexcept : value_(std::exchange(other.value_, nullptr)) {}

Json& Json::operator=(Json other) noexcept {
  std::swap(value_, other.value_);
  return *this;
}

Json::~Json() {
  json_object_put(value_);
}

Json Json::shared(json_object* value) {
  return Json(json_object_get(value));
}

Result<Json> Json::parse(std::string_view given) {
  if (given.size() > kObjectBytes) {
    return make_error(ErrorKind::kMonitorLost, blockpull::text("message has ", given.size(),
                                                               " bytes; at most ", kObjectBytes));
  }
  if (const std::size_t at = find_no_utf8(given); at != std::string_view::npos) {
    return not_json(given, blockpull::text("invalid UTF-8 at byte ", at));
  }
  const std::string exact = has_long_digits(given) ? without_overflow(given) : std::string();
  const std::string_view text = exact.empty() ? given : exact;
  Parsed parsed = parse_with(text, kUsualLevels);
  if (parsed.error == json_tokener_error_depth) {
    parsed = parse_with(text, kObjectDepth + 1);
  }
  Json value(parsed.value);
  if (parsed.error == json_tokener_continue) {
    return not_json(given, "it is incomplete");
  }
  if (parsed.error != json_tokener_success) {
    return not_json(given, json_tokener_error_desc(parsed.error));
  }
  if (!value.is_object() && json_object_is_type(parsed.value, json_type_array) == 0) {
    return not_json(given, "neither an object nor an array");
  }
  return value;
}

Json Json::member(const char* name) const {
  json_object* found = nullptr;
  if (!is_object() || json_object_object_get_ex(value_, name, &found) == 0) {
    return {};
  }
  return shared(found);
}

bool Json::has(const char* name) const {
  return is_object() && json_object_object_get_ex(value_, name, nullptr) != 0;
}

bool Json::is_object() const {
  return json_object_is_type(value_, json_type_object) != 0 && value_ != nullptr;
}

std::size_t Json::size() const {
  return value_ != nullptr && json_object_is_type(value_, json_type_array) != 0
             ? json_object_array_length(value_)
             : 0;
}

Json Json::at(std::size_t index) const {
  return index < size() ? shared(json_object_array_get_idx(value_, index)) : Json();
}

std::optional<std::string> Json::text() const {
  if (value_ == nullptr || json_object_is_type(value_, json_type_string) == 0) {
    return std::nullopt;
  }
  return std::string(json_object_get_string(value_),
                     static_cast<std::size_t>(json_object_get_string_len(value_)));
}

std::optional<std::uint64_t> Json::number() const {
  if (value_ == nullptr || json_object_is_type(value_, json_type_int) == 0) {
    return std::nullopt;
  }
  // json-c reads a negative number as 0 in its unsigned getter.
  if (json_object_get_int64(value_) < 0) {
    return std::nullopt;
  }
  return json_object_get_uint64(value_);
}

std::optional<std::int64_t> Json::signed_number() const {
  if (value_ == nullptr || json_object_is_type(value_, json_type_int) == 0) {
    return std::nullopt;
  }
  const std::int64_t value = json_object_get_int64(value_);
  // Above the range json-c returns its bound.
  if (value == std::numeric_limits<std::int64_t>::max() &&
      json_object_get_uint64(value_) != static_cast<std::uint64_t>(value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<bool> Json::boolean() const {
  if (value_ == nullptr || json_object_is_type(value_, json_type_boolean) == 0) {
    return std::nullopt;
  }
  return json_object_get_boolean(value_) != 0;
}

void JsonWriter::begin(std::string_view name) {
  if (text_.size() > 1) {
    text_ += ',';
  }
  append_string(name);
  text_ += ':';
}

void JsonWriter::append_string(std::string_view value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  text_ += '"';
  for (const char byte : value) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '"' || byte == '\\') {
      text_ += '\\';
      text_ += byte;
    } else if (code < 0x20) {
      text_ += "\\u00";
      text_ += kDigits[code >> 4U];
      text_ += kDigits[code & 0xfU];
    } else {
      text_ += byte;
    }
  }
  text_ += '"';
}

JsonWriter& JsonWriter::member(std::string_view name, std::string_view value) {
  begin(name);
  append_string(value);
  return *this;
}

JsonWriter& JsonWriter::member(std::string_view name, bool value) {
  begin(name);
  text_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::number(std::string_view name, std::uint64_t value) {
  begin(name);
  text_ += blockpull::text(value);
  return *this;
}

JsonWriter& JsonWriter::object(std::string_view name, const std::string& written) {
  begin(name);
  text_ += written;
  return *this;
}

Result<void> check_sendable(std::string_view request) {
  const std::size_t at = find_no_utf8(request);
  if (at == std::string_view::npos) {
    return {};
  }
  const auto byte = static_cast<unsigned char>(request[at]);
  return make_error(
      ErrorKind::kInvalidArgument,
      blockpull::text("byte ", Hex{byte}, " at ", at, " of request '", excerpt(request),
                      "' is not UTF-8 that QEMU accepts; rename the file or disk that it names"));
}

std::string excerpt(std::string_view sent) {
  constexpr std::size_t kShown = 60;
  std::string shown(sent.substr(0, kShown));
  for (char& byte : shown) {
    byte = byte >= ' ' && byte <= '~' ? byte : '.';
  }
  return sent.size() > kShown ? shown + "…" : shown;
}

}  // namespace blockpull::qmp
