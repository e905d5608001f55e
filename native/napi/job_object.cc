// SPDX-License-Identifier: Apache-2.0
//
// Every method returns at once: a job's calls take no lock that its work holds.

#include "napi/job_object.h"

#include <array>
#include <utility>

#include "napi/requests.h"
#include "napi/results.h"
#include "napi/wrapped.h"

namespace blockpull::napi {
namespace {

struct JobObject {
  static constexpr napi_type_tag kTag{0x3bd21a8ac1d34f27, 0xa5d9f6a4cf0b7e11};

  std::shared_ptr<JobChannel> channel;
};

using JobCall = Call<JobObject>;

napi_value progress(const JobCall& call) {
  return make_progress(call.env, call.object->channel->job().progress());
}

napi_value abort_job(const JobCall& call) {
  if (!call.object->channel->is_over()) {
    call.object->channel->job().stop(job::Stop::kCancel);
  }
  return nullptr;
}

napi_value set_bandwidth(const JobCall& call) {
  const auto bandwidth = read_bandwidth(call.env, call.arguments[0]);
  if (bandwidth && !call.object->channel->is_over()) {
    call.object->channel->job().set_bandwidth(*bandwidth);
  }
  return nullptr;
}

napi_value ref(const JobCall& call) {
  call.object->channel->ref();
  return nullptr;
}

napi_value unref(const JobCall& call) {
  call.object->channel->unref();
  return nullptr;
}

}  // namespace

napi_value make_job_object(napi_env env, std::shared_ptr<JobChannel> channel) {
  const std::array properties{
      method_property<JobObject, &progress>("progress"),
      method_property<JobObject, &abort_job>("abort"),
      method_property<JobObject, &set_bandwidth>("setBandwidth"),
      method_property<JobObject, &ref>("ref"),
      method_property<JobObject, &unref>("unref"),
  };
  auto object = std::make_unique<JobObject>();
  object->channel = std::move(channel);
  return wrap(env, std::move(object), properties);
}

}  // namespace blockpull::napi
