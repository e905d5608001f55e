// SPDX-License-Identifier: Apache-2.0
//
// Plain structs to JavaScript objects: the other side of the contract in lib/native.ts. The only
// decision here is what absent values look like.
//
// Node-API's status is ignored: if an environment is being torn down every call fails, and nobody
// is left to report that to.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <napi.h>

#include "core/base/walk_watch.h"
#include "job/job.h"
#include "virt/calls/event_calls.h"
#include "virt/calls/images.h"

namespace blockpull::napi {

[[nodiscard]] napi_value make_text(napi_env env, std::string_view text);
[[nodiscard]] napi_value make_number(napi_env env, int number);
[[nodiscard]] napi_value make_null(napi_env env);
[[nodiscard]] napi_value make_undefined(napi_env env);
[[nodiscard]] napi_value make_failure(napi_env env, const virt::Failure& failure);
[[nodiscard]] napi_value make_domain(napi_env env, const virt::FoundDomain& domain);
[[nodiscard]] napi_value make_domains(napi_env env, const std::vector<virt::FoundDomain>& domains);
[[nodiscard]] napi_value make_event(napi_env env, const virt::BlockJobEvent& event,
                                    virt::ConnectState& state);
[[nodiscard]] napi_value make_info(napi_env env, const std::optional<virt::BlockJobInfo>& info);
[[nodiscard]] napi_value make_progress(napi_env env, const job::Progress& progress);
/// `outcome` is absent while the job runs.
[[nodiscard]] napi_value make_update(napi_env env, const job::Progress& progress,
                                     const job::Outcome* outcome);
[[nodiscard]] napi_value make_walk_progress(napi_env env,
                                            const std::optional<WalkProgress>& progress);
[[nodiscard]] napi_value make_plan(napi_env env, const virt::TimedPlan& plan);
[[nodiscard]] napi_value make_disks(napi_env env, const std::vector<virt::Disk>& disks);
[[nodiscard]] napi_value make_reaped(napi_env env, const std::vector<virt::ReapedJob>& jobs);

}  // namespace blockpull::napi
