// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: a value or an Error. Nothing in native/ throws; everything that can fail returns one
// of these. [[nodiscard]] makes an ignored failure a warning, and the development build makes that
// an error.
//
//     BLOCKPULL_TRY(header, read_header(file));    // declares `header`, or returns the error
//     BLOCKPULL_CHECK(file.sync());                // for Result<void>
//
// Reading the value of a failed Result is a programming error and aborts the process.

#pragma once

#include <cstdlib>
#include <type_traits>
#include <utility>
#include <variant>

#include "core/base/error.h"

namespace blockpull {

template <typename T, typename E = Error>
class [[nodiscard]] Result {
 public:
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

  Result() requires std::is_void_v<T>
  = default;

  // Implicit, so that functions can return plain values and plain errors.
  template <typename U = Value>
  requires(!std::is_void_v<T> && std::is_convertible_v<U&&, Value> &&
           !std::is_same_v<std::remove_cvref_t<U>, E> &&
           !std::is_same_v<std::remove_cvref_t<U>, Result>)
      Result(U&& value)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}

  Result(E error)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  [[nodiscard]] Value& value() & { return *present(std::get_if<0>(&state_)); }
  [[nodiscard]] const Value& value() const& { return *present(std::get_if<0>(&state_)); }
  [[nodiscard]] Value&& value() && { return std::move(*present(std::get_if<0>(&state_))); }

  [[nodiscard]] E& error() & { return *present(std::get_if<1>(&state_)); }
  [[nodiscard]] const E& error() const& { return *present(std::get_if<1>(&state_)); }
  [[nodiscard]] E&& error() && { return std::move(*present(std::get_if<1>(&state_))); }

  Value* operator->() { return &value(); }
  const Value* operator->() const { return &value(); }
  Value& operator*() & { return value(); }
  const Value& operator*() const& { return value(); }

 private:
  template <typename P>
  static P* present(P* pointer) {
    if (pointer == nullptr) {
      std::abort();
    }
    return pointer;
  }

  std::variant<Value, E> state_;
};

}  // namespace blockpull

#define BLOCKPULL_JOIN_(a, b) a##b
#define BLOCKPULL_JOIN(a, b) BLOCKPULL_JOIN_(a, b)

/// Declares `name` as the value of `expression`, or returns its error from the enclosing function.
#define BLOCKPULL_TRY(name, expression)                              \
  auto BLOCKPULL_JOIN(try_result_, __LINE__) = (expression);         \
  if (!BLOCKPULL_JOIN(try_result_, __LINE__).ok()) {                 \
    return std::move(BLOCKPULL_JOIN(try_result_, __LINE__)).error(); \
  }                                                                  \
  auto name = std::move(BLOCKPULL_JOIN(try_result_, __LINE__)).value()

/// Returns the error of `expression`, a Result<void>, from the enclosing function.
#define BLOCKPULL_CHECK(expression)                             \
  if (auto check_result_ = (expression); !check_result_.ok()) { \
    return std::move(check_result_).error();                    \
  }                                                             \
  static_assert(true)
