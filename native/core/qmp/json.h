// SPDX-License-Identifier: Apache-2.0
//
// JSON as monitors speak it: parsed values, and a writer for what we send.
//
// json-c does the parsing; no other file knows it. A Json is a counted reference into a tree that
// never changes. A missing member is ordinary, since QEMU adds and drops members from version to
// version. So it is an absent Json, whose members are absent too, and the typed getters are
// optional:
//
//     value.member("inserted").member("image").member("virtual-size").number()
//
// Integers are exact over the whole 64-bit range, signed and unsigned. As in QEMU itself, a number
// with a fraction or an exponent is not an integer, and neither is one beyond 64 bits. Of two
// members with one name the last counts, as in JavaScript. Half a surrogate pair is read as U+FFFD.
//
// Thread rule: one thread at a time for a tree and all of its references.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

struct json_object;

namespace blockpull::qmp {

class Json {
 public:
  /// Absent.
  Json() = default;
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(Json other) noexcept;
  ~Json();

  /// Parses one whole object or array. kMonitorLost if `text` is neither.
  [[nodiscard]] static Result<Json> parse(std::string_view text);

  /// False if the value is absent or a JSON null.
  [[nodiscard]] bool exists() const { return value_ != nullptr; }

  /// The member of an object, or absent.
  [[nodiscard]] Json member(const char* name) const;

  /// Whether an object has such a member, even a null.
  [[nodiscard]] bool has(const char* name) const;

  [[nodiscard]] bool is_object() const;

  /// Elements of an array; 0 for every other value.
  [[nodiscard]] std::size_t size() const;
  /// The element of an array, or absent.
  [[nodiscard]] Json at(std::size_t index) const;

  [[nodiscard]] std::optional<std::string> text() const;
  /// A non-negative integer.
  [[nodiscard]] std::optional<std::uint64_t> number() const;
  [[nodiscard]] std::optional<std::int64_t> signed_number() const;
  [[nodiscard]] std::optional<bool> boolean() const;

  /// The value of a string, or "".
  [[nodiscard]] std::string text_or_empty() const { return text().value_or(std::string()); }
  /// The value of a boolean; false for every other value.
  [[nodiscard]] bool is_true() const { return boolean().value_or(false); }

 private:
  /// Takes over one reference.
  explicit Json(json_object* value) : value_(value) {}
  [[nodiscard]] static Json shared(json_object* value);

  json_object* value_ = nullptr;
};

/// Writes one flat object, with its members in call order; `object` nests. Strings are written as
/// they are. Only quotes, backslashes and control characters are escaped, as QEMU requires. The
/// sender calls check_sendable().
class JsonWriter {
 public:
  JsonWriter& member(std::string_view name, std::string_view value);
  /// A literal is a string, not a boolean.
  JsonWriter& member(std::string_view name, const char* value) {
    return member(name, std::string_view(value));
  }
  JsonWriter& member(std::string_view name, bool value);
  JsonWriter& number(std::string_view name, std::uint64_t value);
  /// `written` is the text of another writer.
  JsonWriter& object(std::string_view name, const std::string& written);

  /// "{…}".
  [[nodiscard]] std::string text() const { return text_ + "}"; }

 private:
  void begin(std::string_view name);
  void append_string(std::string_view value);

  std::string text_ = "{";
};

/// kInvalidArgument if QEMU would not accept `request` as UTF-8. QEMU would answer without an id,
/// so we could not tell which command failed. A name that QMP cannot carry is not replaced, because
/// another name means another file.
[[nodiscard]] Result<void> check_sendable(std::string_view request);

/// The beginning of what a monitor sent, for an error message: one line of printable ASCII.
[[nodiscard]] std::string excerpt(std::string_view sent);

}  // namespace blockpull::qmp
