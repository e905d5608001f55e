// SPDX-License-Identifier: Apache-2.0

#include "napi/walk_object.h"

#include <array>
#include <memory>
#include <utility>

#include "napi/environment.h"
#include "napi/requests.h"
#include "napi/results.h"
#include "napi/wrapped.h"

namespace blockpull::napi {
namespace {

struct WalkObject {
  static constexpr napi_type_tag kTag{0x5e0b7d3f96c24a18, 0x92ad41c7f38e05b6};

  WalkWatch watch;
};

using WalkCall = Call<WalkObject>;

napi_value give_up(const WalkCall& call) {
  call.object->watch.give_up();
  return nullptr;
}

napi_value progress(const WalkCall& call) {
  return make_walk_progress(call.env, call.object->watch.progress());
}

}  // namespace

napi_value make_walk_object(napi_env env) {
  const std::array properties{
      method_property<WalkObject, &give_up>("giveUp"),
      method_property<WalkObject, &progress>("progress"),
  };
  // The environment outlives the calls that check this.
  auto object = std::make_unique<WalkObject>(WalkObject{
      WalkWatch([&environment = Environment::of(env)] { return !environment.is_ending(); })});
  return wrap(env, std::move(object), properties);
}

std::optional<WalkWatch> read_walk(napi_env env, napi_value value) {
  bool is_walk = false;
  void* data = nullptr;
  if (value != nullptr &&
      napi_check_object_type_tag(env, value, &WalkObject::kTag, &is_walk) == napi_ok && is_walk &&
      napi_unwrap(env, value, &data) == napi_ok) {
    return static_cast<WalkObject*>(data)->watch;
  }
  bool is_pending = false;
  if (napi_is_exception_pending(env, &is_pending) == napi_ok && !is_pending) {
    napi_throw_type_error(env, nullptr, "walk must be a result of newWalk()");
  }
  return std::nullopt;
}

}  // namespace blockpull::napi
