// SPDX-License-Identifier: Apache-2.0
//
// A C++ object behind a JavaScript one. Plain properties hold its methods, and a type tag
// identifies it. A method called on anything else throws a TypeError instead of reading memory that
// is not its own. The C++ object is destroyed when JavaScript collects the other; its destructor
// must not wait.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <array>
#include <memory>
#include <span>

#include <napi.h>

namespace blockpull::napi {

/// The arguments of a method call.
template <typename T>
struct Call {
  napi_env env = nullptr;
  T* object = nullptr;
  /// undefined for missing arguments.
  std::array<napi_value, 2> arguments{};
};

/// Creates the object. T has `static constexpr napi_type_tag kTag`. nullptr if the environment
/// refuses.
template <typename T>
[[nodiscard]] napi_value wrap(napi_env env, std::unique_ptr<T> native,
                              std::span<const napi_property_descriptor> properties) {
  napi_value object = nullptr;
  const auto finalize = [](napi_env /*env*/, void* data, void* /*hint*/) {
    const std::unique_ptr<T> gone(static_cast<T*>(data));
  };
  if (napi_create_object(env, &object) != napi_ok ||
      napi_define_properties(env, object, properties.size(), properties.data()) != napi_ok ||
      napi_type_tag_object(env, object, &T::kTag) != napi_ok ||
      napi_wrap(env, object, native.get(), finalize, nullptr, nullptr) != napi_ok) {
    return nullptr;
  }
  // JavaScript owns it now.
  static_cast<void>(native.release());
  return object;
}

/// The body of a method: calls `kMethod` with the object behind `this`.
template <typename T, napi_value (*kMethod)(const Call<T>&)>
napi_value method(napi_env env, napi_callback_info info) {
  Call<T> call;
  call.env = env;
  std::size_t count = call.arguments.size();
  napi_value self = nullptr;
  void* data = nullptr;
  bool is_ours = false;
  if (napi_get_cb_info(env, info, &count, call.arguments.data(), &self, nullptr) != napi_ok ||
      napi_check_object_type_tag(env, self, &T::kTag, &is_ours) != napi_ok || !is_ours ||
      napi_unwrap(env, self, &data) != napi_ok) {
    bool is_pending = false;
    if (napi_is_exception_pending(env, &is_pending) == napi_ok && !is_pending) {
      napi_throw_type_error(env, nullptr, "method called on an object of another class");
    }
    return nullptr;
  }
  call.object = static_cast<T*>(data);
  return kMethod(call);
}

template <typename T, napi_value (*kMethod)(const Call<T>&)>
[[nodiscard]] napi_property_descriptor method_property(const char* name) {
  return {name, nullptr, &method<T, kMethod>, nullptr, nullptr, nullptr, napi_enumerable, nullptr};
}

/// Checks for a callback among the arguments. Throws a TypeError for anything else.
[[nodiscard]] inline bool check_callback(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value != nullptr && napi_typeof(env, value, &type) == napi_ok && type == napi_function) {
    return true;
  }
  napi_throw_type_error(env, nullptr, "callback must be a function");
  return false;
}

}  // namespace blockpull::napi
