// SPDX-License-Identifier: Apache-2.0
//
// The addon's entry point. It may be entered many times, once for each environment (the main
// thread, workers, a second copy of the package). It keeps nothing outside the environment's own
// data.

#include <napi.h>

#include "napi/connection_object.h"
#include "napi/environment.h"
#include "napi/image_functions.h"
#include "napi/results.h"

namespace blockpull::napi {
namespace {

bool define_module(napi_env env, napi_value exports) {
  const napi_property_descriptor version{
      "version",       nullptr, nullptr, nullptr, nullptr, make_text(env, BLOCKPULL_VERSION),
      napi_enumerable, nullptr};
  const napi_property_descriptor open{"openConnection", nullptr, &open_connection, nullptr,
                                      nullptr,          nullptr, napi_enumerable,  nullptr};
  return napi_define_properties(env, exports, 1, &version) == napi_ok &&
         napi_define_properties(env, exports, 1, &open) == napi_ok &&
         define_image_functions(env, exports);
}

}  // namespace
}  // namespace blockpull::napi

/// A failure leaves an exception pending, which require() throws.
NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  if (!blockpull::napi::Environment::create(env) || !blockpull::napi::define_module(env, exports)) {
    return nullptr;
  }
  return exports;
}
