// SPDX-License-Identifier: Apache-2.0
//
// Reads the properties of one request object. The first property of a wrong type throws a TypeError
// and is remembered. Later values are then empty, and the caller checks ok() once at the end.
//
//     Request request(env, value);
//     options.path = request.text("path");
//     options.base = request.optional_text("base");
//     if (!request.ok()) return std::nullopt;
//
// Thread rule: the JavaScript thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <napi.h>

namespace blockpull::napi {

class Request {
 public:
  Request(napi_env env, napi_value object);

  [[nodiscard]] bool ok() const { return ok_; }
  /// Something is wrong in the request. Throws, unless an exception is already pending.
  void fail(const char* name, const char* expected);

  [[nodiscard]] std::string text(const char* name);
  /// Absent for null.
  [[nodiscard]] std::optional<std::string> optional_text(const char* name);
  /// A file's name: a string, or its bytes as a Buffer.
  [[nodiscard]] std::string path(const char* name);
  [[nodiscard]] std::optional<std::string> optional_path(const char* name);
  [[nodiscard]] std::optional<std::vector<std::string>> optional_paths(const char* name);
  [[nodiscard]] bool boolean(const char* name);
  /// A whole number of 32 bits.
  [[nodiscard]] std::uint32_t u32(const char* name);
  [[nodiscard]] std::int32_t i32(const char* name);
  /// A BigInt from 0 to 2^64 - 1.
  [[nodiscard]] std::uint64_t u64(const char* name);
  [[nodiscard]] std::optional<std::uint64_t> optional_u64(const char* name);
  /// The elements of an array; absent for null.
  [[nodiscard]] std::optional<std::vector<napi_value>> optional_array(const char* name);

 private:
  [[nodiscard]] napi_value property(const char* name);
  [[nodiscard]] bool is_null(napi_value value);
  [[nodiscard]] std::string text_of(const char* name, napi_value value);
  [[nodiscard]] std::string path_of(const char* name, napi_value value);
  [[nodiscard]] std::uint64_t u64_of(const char* name, napi_value value);

  const napi_env env_;
  const napi_value object_;
  bool ok_ = true;
};

}  // namespace blockpull::napi
