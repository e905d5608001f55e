// SPDX-License-Identifier: Apache-2.0
//
// JavaScript objects to plain structs and back: the other side of the contract in lib/native.ts,
// and the only file that spells its property names.
//
// Reading checks types, so that nothing a caller passes can crash the process; whoever passes
// something else than the contract says gets a TypeError that names the property. Ranges and
// meaning are not judged here. Writing goes through Node-API's C calls and ignores their status:
// when an environment is being torn down every one of them fails, and there is nobody left to tell.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <napi.h>

#include "core/base/walk_watch.h"
#include "core/image/digest.h"
#include "job/job.h"
#include "virt/calls/images.h"
#include "virt/hosts/embed/block_jobs.h"
#include "virt/hosts/embed/block_pull.h"
#include "virt/hosts/embed/reap.h"
#include "virt/session/connection.h"

namespace blockpull::napi {

// Requests. Absent: an exception is pending.
struct LookupRequest {
  std::optional<std::string> name;
  std::optional<std::string> uuid;
};

[[nodiscard]] std::optional<virt::ConnectOptions> read_connect(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::ImageRequest> read_image(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::ImagePullRequest> read_image_pull(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::CreateRequest> read_create(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::BlockPullRequest> read_block_pull(napi_env env, napi_value value);
/// Of a plan.
[[nodiscard]] std::optional<bool> read_reads_data(napi_env env, napi_value value);
/// Of a pull that may be given up.
[[nodiscard]] std::optional<std::uint64_t> read_ticket(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::DiskRequest> read_disk_request(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::SpeedRequest> read_speed(napi_env env, napi_value value);
[[nodiscard]] std::optional<LookupRequest> read_lookup(napi_env env, napi_value value);
[[nodiscard]] std::optional<std::string> read_uuid(napi_env env, napi_value value);
[[nodiscard]] std::optional<std::string> read_xml(napi_env env, napi_value value);
[[nodiscard]] std::optional<std::uint64_t> read_bandwidth(napi_env env, napi_value value);

// Results.
[[nodiscard]] napi_value make_text(napi_env env, std::string_view text);
[[nodiscard]] napi_value make_undefined(napi_env env);
[[nodiscard]] napi_value make_failure(napi_env env, const virt::Failure& failure);
[[nodiscard]] napi_value make_domain(napi_env env, const virt::DomainWithState& domain);
[[nodiscard]] napi_value make_domains(napi_env env,
                                      const std::vector<virt::DomainWithState>& domains);
[[nodiscard]] napi_value make_event(napi_env env, const virt::BlockJobEvent& event);
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
[[nodiscard]] napi_value make_layers(napi_env env, const std::vector<image::LayerInfo>& layers);
[[nodiscard]] napi_value make_digest(napi_env env, const image::Digest& digest);

}  // namespace blockpull::napi
