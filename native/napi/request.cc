// SPDX-License-Identifier: Apache-2.0
//
// The types of a request's properties. Getters of the object may run and throw, so every status is
// checked. An exception that is already pending is kept.

#include "napi/request.h"

#include <cmath>

#include "core/base/text.h"

namespace blockpull::napi {

Request::Request(napi_env env, napi_value object) : env_(env), object_(object) {
  napi_valuetype type = napi_undefined;
  if (object == nullptr || napi_typeof(env, object, &type) != napi_ok || type != napi_object) {
    ok_ = false;
    napi_throw_type_error(env, nullptr, "request must be an object");
  }
}

void Request::fail(const char* name, const char* expected) {
  ok_ = false;
  bool is_pending = false;
  if (napi_is_exception_pending(env_, &is_pending) == napi_ok && !is_pending) {
    napi_throw_type_error(env_, nullptr,
                          blockpull::text("request.", name, " must be ", expected).c_str());
  }
}

napi_value Request::property(const char* name) {
  napi_value value = nullptr;
  if (ok_ && napi_get_named_property(env_, object_, name, &value) != napi_ok) {
    fail(name, "readable");
  }
  return ok_ ? value : nullptr;
}

bool Request::is_null(napi_value value) {
  napi_valuetype type = napi_undefined;
  return value == nullptr || (napi_typeof(env_, value, &type) == napi_ok && type == napi_null);
}

std::string Request::text_of(const char* name, napi_value value) {
  std::size_t length = 0;
  if (value == nullptr || napi_get_value_string_utf8(env_, value, nullptr, 0, &length) != napi_ok) {
    fail(name, "a string");
    return {};
  }
  // One more for the NUL that Node-API writes.
  std::string text(length + 1, '\0');
  napi_get_value_string_utf8(env_, value, text.data(), text.size(), &length);
  text.resize(length);
  if (text.find('\0') != std::string::npos) {
    fail(name, "a string without NUL");
  }
  return text;
}

std::uint64_t Request::u64_of(const char* name, napi_value value) {
  std::uint64_t number = 0;
  bool is_lossless = false;
  if (value == nullptr ||
      napi_get_value_bigint_uint64(env_, value, &number, &is_lossless) != napi_ok || !is_lossless) {
    fail(name, "a BigInt from 0 to 2n ** 64n - 1n");
    return 0;
  }
  return number;
}

std::string Request::text(const char* name) {
  const napi_value value = property(name);
  return ok_ ? text_of(name, value) : std::string();
}

std::optional<std::string> Request::optional_text(const char* name) {
  const napi_value value = property(name);
  if (!ok_ || is_null(value)) {
    return std::nullopt;
  }
  return text_of(name, value);
}

std::optional<std::vector<napi_value>> Request::optional_array(const char* name) {
  const napi_value value = property(name);
  if (!ok_ || is_null(value)) {
    return std::nullopt;
  }
  bool is_array = false;
  std::uint32_t length = 0;
  if (napi_is_array(env_, value, &is_array) != napi_ok || !is_array ||
      napi_get_array_length(env_, value, &length) != napi_ok) {
    fail(name, "an array or null");
    return std::nullopt;
  }
  std::vector<napi_value> elements;
  for (std::uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    if (napi_get_element(env_, value, i, &element) != napi_ok) {
      fail(name, "readable");
      return std::nullopt;
    }
    elements.push_back(element);
  }
  return elements;
}

std::string Request::path_of(const char* name, napi_value value) {
  bool is_buffer = false;
  if (value == nullptr || napi_is_buffer(env_, value, &is_buffer) != napi_ok || !is_buffer) {
    return text_of(name, value);
  }
  void* bytes = nullptr;
  std::size_t length = 0;
  if (napi_get_buffer_info(env_, value, &bytes, &length) != napi_ok) {
    fail(name, "readable");
    return {};
  }
  std::string path(static_cast<const char*>(bytes), length);
  if (path.find('\0') != std::string::npos) {
    fail(name, "a name without NUL");
  }
  return path;
}

std::string Request::path(const char* name) {
  const napi_value value = property(name);
  return ok_ ? path_of(name, value) : std::string();
}

std::optional<std::string> Request::optional_path(const char* name) {
  const napi_value value = property(name);
  if (!ok_ || is_null(value)) {
    return std::nullopt;
  }
  return path_of(name, value);
}

std::optional<std::vector<std::string>> Request::optional_paths(const char* name) {
  const auto elements = optional_array(name);
  if (!elements) {
    return std::nullopt;
  }
  std::vector<std::string> paths;
  for (const napi_value element : *elements) {
    paths.push_back(path_of(name, element));
  }
  return paths;
}

bool Request::boolean(const char* name) {
  const napi_value value = property(name);
  bool answer = false;
  if (ok_ && napi_get_value_bool(env_, value, &answer) != napi_ok) {
    fail(name, "true or false");
  }
  return answer;
}

std::uint32_t Request::u32(const char* name) {
  const napi_value value = property(name);
  double number = 0;
  if (ok_ && (napi_get_value_double(env_, value, &number) != napi_ok ||
              number != std::floor(number) || number < 0 || number > 4294967295.0)) {
    fail(name, "a whole number from 0 to 4294967295");
    return 0;
  }
  return static_cast<std::uint32_t>(number);
}

std::int32_t Request::i32(const char* name) {
  const napi_value value = property(name);
  double number = 0;
  if (ok_ && (napi_get_value_double(env_, value, &number) != napi_ok ||
              number != std::floor(number) || std::abs(number) > 2147483647.0)) {
    fail(name, "a whole number from -2147483647 to 2147483647");
    return 0;
  }
  return static_cast<std::int32_t>(number);
}

std::uint64_t Request::u64(const char* name) {
  const napi_value value = property(name);
  return ok_ ? u64_of(name, value) : 0;
}

std::optional<std::uint64_t> Request::optional_u64(const char* name) {
  const napi_value value = property(name);
  if (!ok_ || is_null(value)) {
    return std::nullopt;
  }
  return u64_of(name, value);
}

}  // namespace blockpull::napi
