// SPDX-License-Identifier: Apache-2.0
//
// NativeJob of lib/native.ts: a handle to a running job. Dropping it stops nothing; the job belongs
// to its environment or connection. Thread rule: the JavaScript thread.

#pragma once

#include <memory>

#include <napi.h>

#include "napi/event_channel.h"

namespace blockpull::napi {

/// nullptr if the environment refuses. The channel is attached to its job.
[[nodiscard]] napi_value make_job_object(napi_env env, std::shared_ptr<JobChannel> channel);

}  // namespace blockpull::napi
