// SPDX-License-Identifier: Apache-2.0
//
// json-c keeps integers as int64 or uint64, whichever fits; one that fits neither it holds at the
// nearest bound, and such a number is none that QEMU sends.

#include "core/qmp/json.h"

#include <limits>
#include <utility>

#include <json-c/json.h>

#include "core/base/text.h"
#include "core/qmp/splitter.h"

namespace blockpull::qmp {
namespace {

/// json-c clears room for as many levels as it may meet, so a parser for 1024 costs more than most
/// messages do. Only long backing chains nest deeper than this.
constexpr int kUsualDepth = 32;

struct Parsed {
  /// Owned by who is given it.
  json_object* value = nullptr;
  json_tokener_error why = json_tokener_success;
};

Result<Parsed> parse_with(std::string_view given, int depth) {
  json_tokener* const tokener = json_tokener_new_ex(depth);
  if (tokener == nullptr) {
    return make_error(ErrorKind::kIo, "no memory to parse what a monitor sent");
  }
  json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
  Parsed parsed;
  parsed.value = json_tokener_parse_ex(tokener, given.data(), static_cast<int>(given.size()));
  parsed.why = json_tokener_get_error(tokener);
  if (parsed.why == json_tokener_success && json_tokener_get_parse_end(tokener) != given.size()) {
    parsed.why = json_tokener_error_parse_unexpected;
  }
  json_tokener_free(tokener);
  return parsed;
}

/// What is wrong with a text that json-c does not take.
Error not_json(std::string_view text_given, json_tokener_error why) {
  constexpr std::size_t kShown = 60;
  return make_error(ErrorKind::kMonitorLost,
                    blockpull::text("message '", text_given.substr(0, kShown),
                                    text_given.size() > kShown ? "…" : "",
                                    "' is no JSON: ", json_tokener_error_desc(why)));
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
  BLOCKPULL_TRY(parsed, parse_with(given, kUsualDepth));
  if (parsed.why == json_tokener_error_depth) {
    BLOCKPULL_TRY(deep, parse_with(given, static_cast<int>(kObjectDepth) + 1));
    parsed = deep;
  }
  Json value(parsed.value);
  if (parsed.why != json_tokener_success) {
    return not_json(given, parsed.why);
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
  // A negative number reads as 0 when asked for without its sign.
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
  // Above the range json-c answers with its bound.
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

}  // namespace blockpull::qmp
