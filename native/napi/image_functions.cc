// SPDX-License-Identifier: Apache-2.0
//
// A call may outlive JavaScript, but not the environment, whose end waits for it.

#include "napi/image_functions.h"

#include <array>
#include <memory>
#include <utility>

#include "napi/call_promise.h"
#include "napi/environment.h"
#include "napi/image_results.h"
#include "napi/job_object.h"
#include "napi/requests.h"
#include "napi/results.h"
#include "napi/walk_object.h"
#include "napi/wrapped.h"
#include "virt/calls/guest_reads.h"

namespace blockpull::napi {
namespace {

using Arguments = std::array<napi_value, 3>;

Arguments arguments_of(napi_env env, napi_callback_info info) {
  Arguments arguments{};
  std::size_t count = arguments.size();
  napi_get_cb_info(env, info, &count, arguments.data(), nullptr, nullptr);
  return arguments;
}

napi_value pull_image(napi_env env, napi_callback_info info) {
  const Arguments arguments = arguments_of(env, info);
  auto request = read_image_pull(env, arguments[0]);
  if (!request || !check_callback(env, arguments[1])) {
    return nullptr;
  }
  auto& environment = Environment::of(env);
  auto channel = std::make_shared<JobChannel>(env, arguments[1], environment.dispatcher());
  using Started = std::shared_ptr<job::Job>;
  return promise_of_walk<Started>(
      env,
      [&environment, request = *std::move(request),
       on_end = environment.listener(channel)]() -> virt::Result<Started> {
        BLOCKPULL_TRY(engine, environment.engine());
        return virt::pull_image(*engine, *environment.jobs(), request, on_end);
      },
      [channel](napi_env run_env, Started& job) {
        Environment::of(run_env).attach(channel, job);
        return make_job_object(run_env, channel);
      });
}

napi_value plan_image(napi_env env, napi_callback_info info) {
  const Arguments arguments = arguments_of(env, info);
  auto request = read_image_pull(env, arguments[0]);
  const auto reads_data = request ? read_reads_data(env, arguments[0]) : std::nullopt;
  const auto watch = reads_data ? read_walk(env, arguments[1]) : std::nullopt;
  if (!watch) {
    return nullptr;
  }
  request->reads_data = *reads_data;
  auto& environment = Environment::of(env);
  return promise_of_walk<virt::TimedPlan>(
      env,
      [&environment, request = *std::move(request),
       watch = *watch]() -> virt::Result<virt::TimedPlan> {
        BLOCKPULL_TRY(engine, environment.engine());
        return virt::plan_image(*engine, request, watch);
      },
      &make_plan);
}

napi_value inspect_chain(napi_env env, napi_callback_info info) {
  const Arguments arguments = arguments_of(env, info);
  auto request = read_image(env, arguments[0]);
  const auto watch = request ? read_walk(env, arguments[1]) : std::nullopt;
  if (!watch) {
    return nullptr;
  }
  return promise_of_walk<std::vector<image::LayerInfo>>(
      env,
      [request = *std::move(request), watch = *watch] {
        return virt::inspect_chain(request, watch);
      },
      &make_layers);
}

napi_value create_image(napi_env env, napi_callback_info info) {
  auto request = read_create(env, arguments_of(env, info)[0]);
  if (!request) {
    return nullptr;
  }
  return promise_of_work<Nothing>(
      env, [request = *std::move(request)] { return nothing(virt::create_image(request)); },
      &convert_nothing);
}

napi_value digest_image(napi_env env, napi_callback_info info) {
  const Arguments arguments = arguments_of(env, info);
  auto request = read_image(env, arguments[0]);
  const auto watch = request ? read_walk(env, arguments[1]) : std::nullopt;
  if (!watch) {
    return nullptr;
  }
  auto call = std::make_shared<virt::DigestCall>(*std::move(request), *watch);
  return promise_of_work<image::Digest>(
      env, [call] { return call->step(); }, &make_digest);
}

napi_value compare_images(napi_env env, napi_callback_info info) {
  const Arguments arguments = arguments_of(env, info);
  auto a = read_image(env, arguments[0]);
  auto b = a ? read_image(env, arguments[1]) : std::nullopt;
  const auto watch = b ? read_walk(env, arguments[2]) : std::nullopt;
  if (!watch) {
    return nullptr;
  }
  auto call = std::make_shared<virt::CompareCall>(*std::move(a), *std::move(b), *watch);
  return promise_of_work<image::Comparison>(
      env, [call] { return call->step(); }, &make_comparison);
}

napi_value image_info(napi_env env, napi_callback_info info) {
  auto request = read_image_file(env, arguments_of(env, info)[0]);
  if (!request) {
    return nullptr;
  }
  return promise_of_work<image::ImageInfo>(
      env, [request = *std::move(request)] { return std::optional(virt::image_info(request)); },
      &make_image_info);
}

napi_value check_image(napi_env env, napi_callback_info info) {
  const Arguments arguments = arguments_of(env, info);
  auto request = read_image_check(env, arguments[0]);
  const auto watch = request ? read_walk(env, arguments[1]) : std::nullopt;
  if (!watch) {
    return nullptr;
  }
  return promise_of_walk<virt::ImageCheck>(
      env,
      [request = *std::move(request), watch = *watch] { return virt::check_image(request, watch); },
      &make_check);
}

napi_value new_walk(napi_env env, napi_callback_info /*info*/) {
  return make_walk_object(env);
}

}  // namespace

bool define_image_functions(napi_env env, napi_value exports) {
  const auto function = [](const char* name, napi_callback callback) {
    return napi_property_descriptor{name,    nullptr, callback,        nullptr,
                                    nullptr, nullptr, napi_enumerable, nullptr};
  };
  const std::array functions{
      function("pullImage", &pull_image),       function("planImage", &plan_image),
      function("inspectChain", &inspect_chain), function("createImage", &create_image),
      function("digestImage", &digest_image),   function("compareImages", &compare_images),
      function("imageInfo", &image_info),       function("checkImage", &check_image),
      function("newWalk", &new_walk),
  };
  return napi_define_properties(env, exports, functions.size(), functions.data()) == napi_ok;
}

}  // namespace blockpull::napi
