// SPDX-License-Identifier: Apache-2.0
//
// Builds one plain JavaScript object, property by property. 64-bit numbers become BigInts, absent
// values null. No status is checked: see results.h. Thread rule: the JavaScript thread, inside a
// handle scope.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <napi.h>

#include "napi/name_bytes.h"

namespace blockpull::napi {

class Record {
 public:
  explicit Record(napi_env env) : env_(env) { napi_create_object(env, &object_); }

  [[nodiscard]] napi_value object() const { return object_; }

  Record& value(const char* name, napi_value value) {
    if (value != nullptr) {
      napi_set_named_property(env_, object_, name, value);
    }
    return *this;
  }

  Record& null(const char* name) {
    napi_value out = nullptr;
    napi_get_null(env_, &out);
    return value(name, out);
  }

  Record& text(const char* name, std::string_view text) { return value(name, make(text)); }

  /// null for an empty text.
  Record& text_or_null(const char* name, std::string_view text) {
    return text.empty() ? null(name) : this->text(name, text);
  }

  /// `name` is the property for a file's name, `beside` the one for its bytes; null if it needs
  /// none.
  Record& file(const char* name, const char* beside, std::string_view path) {
    return text(name, path).text_or_null(beside, bytes_beside(path));
  }

  Record& files(const char* name, const char* beside, const std::vector<std::string>& paths) {
    const std::vector<std::string> bytes = bytes_beside(paths);
    texts(name, paths);
    return bytes.empty() ? null(beside) : texts(beside, bytes);
  }

  Record& number(const char* name, double number) {
    napi_value out = nullptr;
    napi_create_double(env_, number, &out);
    return value(name, out);
  }

  Record& boolean(const char* name, bool truth) {
    napi_value out = nullptr;
    napi_get_boolean(env_, truth, &out);
    return value(name, out);
  }

  Record& u64(const char* name, std::uint64_t number) {
    napi_value out = nullptr;
    napi_create_bigint_uint64(env_, number, &out);
    return value(name, out);
  }

  Record& texts(const char* name, const std::vector<std::string>& texts) {
    napi_value array = nullptr;
    napi_create_array_with_length(env_, texts.size(), &array);
    for (std::uint32_t i = 0; i < texts.size(); ++i) {
      napi_set_element(env_, array, i, make(texts[i]));
    }
    return value(name, array);
  }

 private:
  [[nodiscard]] napi_value make(std::string_view text) const {
    napi_value out = nullptr;
    napi_create_string_utf8(env_, text.data(), text.size(), &out);
    return out;
  }

  const napi_env env_;
  napi_value object_ = nullptr;
};

/// An array of the results of `make` for each item.
template <typename T, typename Make>
[[nodiscard]] napi_value make_array(napi_env env, const std::vector<T>& items, Make make) {
  napi_value array = nullptr;
  napi_create_array_with_length(env, items.size(), &array);
  for (std::uint32_t i = 0; i < items.size(); ++i) {
    napi_set_element(env, array, i, make(env, items[i]));
  }
  return array;
}

}  // namespace blockpull::napi
