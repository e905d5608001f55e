// SPDX-License-Identifier: Apache-2.0
//
// JavaScript objects to plain structs: one side of the contract in lib/native.ts.
//
// Reading checks types, so that no argument can crash the process. A value that breaks the contract
// is a TypeError that names the property. Ranges and meaning are not checked here.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <napi.h>

#include "virt/calls/event_calls.h"
#include "virt/calls/images.h"

namespace blockpull::napi {

// Absent: an exception is pending.

struct LookupRequest {
  std::optional<std::string> name;
  std::optional<std::string> uuid;
};

[[nodiscard]] std::optional<virt::ConnectOptions> read_connect(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::ImageRequest> read_image(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::ImageFileRequest> read_image_file(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::ImageCheckRequest> read_image_check(napi_env env,
                                                                      napi_value value);
[[nodiscard]] std::optional<virt::ImagePullRequest> read_image_pull(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::CreateRequest> read_create(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::BlockPullRequest> read_block_pull(napi_env env, napi_value value);
/// For a plan.
[[nodiscard]] std::optional<bool> read_reads_data(napi_env env, napi_value value);
/// For a pull that may be given up.
[[nodiscard]] std::optional<std::uint64_t> read_ticket(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::DiskRequest> read_disk_request(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::SpeedRequest> read_speed(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::Flags> read_flags(napi_env env, napi_value value);
[[nodiscard]] std::optional<virt::EventCall> read_event_call(napi_env env, napi_value value);
[[nodiscard]] std::optional<int> read_registration(napi_env env, napi_value value);
[[nodiscard]] std::optional<LookupRequest> read_lookup(napi_env env, napi_value value);
[[nodiscard]] std::optional<std::string> read_uuid(napi_env env, napi_value value);
[[nodiscard]] std::optional<std::string> read_xml(napi_env env, napi_value value);
[[nodiscard]] std::optional<std::uint64_t> read_bandwidth(napi_env env, napi_value value);

}  // namespace blockpull::napi
