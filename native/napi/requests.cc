// SPDX-License-Identifier: Apache-2.0

#include "napi/requests.h"

#include <utility>

#include "napi/request.h"

namespace blockpull::napi {
namespace {

template <typename T>
std::optional<T> if_ok(const Request& request, T value) {
  return request.ok() ? std::optional<T>(std::move(value)) : std::nullopt;
}

/// An array of files and their formats; may be absent.
std::vector<image::FileFormat> read_file_formats(napi_env env, Request& request) {
  std::vector<image::FileFormat> formats;
  for (const napi_value item :
       request.optional_array("backingFormats").value_or(std::vector<napi_value>())) {
    Request stated(env, item);
    formats.push_back({stated.path("path"), stated.text("format")});
    if (!stated.ok()) {
      request.fail("backingFormats", "an array of { path, format }");
      break;
    }
  }
  return formats;
}

virt::BackingFormats read_backing_formats(napi_env env, Request& request) {
  return {read_file_formats(env, request), request.optional_text("backingFormat")};
}

std::optional<virt::Disk> read_disk(napi_env env, napi_value value) {
  Request request(env, value);
  virt::Disk disk;
  disk.target = request.text("target");
  disk.source = request.path("source");
  disk.format = request.text("format");
  disk.backing_formats = read_file_formats(env, request);
  return if_ok(request, std::move(disk));
}

std::optional<virt::DomainDescription> read_description(napi_env env, napi_value value) {
  Request request(env, value);
  virt::DomainDescription description;
  description.name = request.text("name");
  description.uuid = request.optional_text("uuid");
  description.qmp = request.optional_text("qmp");
  for (const napi_value item :
       request.optional_array("disks").value_or(std::vector<napi_value>())) {
    auto disk = read_disk(env, item);
    if (!disk) {
      return std::nullopt;
    }
    description.disks.push_back(*std::move(disk));
  }
  return if_ok(request, std::move(description));
}

virt::ImageRequest read_image_of(napi_env env, Request& request) {
  virt::ImageRequest image;
  image.path = request.path("path");
  image.format = request.optional_text("format");
  image.backing_formats = read_backing_formats(env, request);
  image.backing_paths = request.optional_paths("backingPaths");
  return image;
}

driver::OnError read_on_error(Request& request) {
  const std::string policy = request.text("onError");
  if (policy == "stop") {
    return driver::OnError::kStop;
  }
  return policy == "enospc" ? driver::OnError::kEnospc : driver::OnError::kReport;
}

driver::TrailingPolicy read_trailing(Request& request) {
  const std::string wanted = request.text("trailingData");
  return wanted == "keep"      ? driver::TrailingPolicy::kKeep
         : wanted == "discard" ? driver::TrailingPolicy::kDiscard
                               : driver::TrailingPolicy::kRefuse;
}

void read_deadlines(Request& request, qmp::Deadlines& deadlines) {
  const auto read = [&request](const char* name, Nanoseconds& deadline) {
    if (const auto given = request.optional_u64(name)) {
      deadline = std::chrono::milliseconds(*given);
    }
  };
  read("connectTimeout", deadlines.connect);
  read("queryTimeout", deadlines.query);
  read("changeTimeout", deadlines.change);
}

}  // namespace

std::optional<virt::ConnectOptions> read_connect(napi_env env, napi_value value) {
  Request request(env, value);
  virt::ConnectOptions options;
  options.uri = request.optional_text("uri");
  options.read_only = request.boolean("readOnly");
  options.backing_paths = request.optional_paths("backingPaths");
  read_deadlines(request, options.deadlines);
  for (const napi_value item :
       request.optional_array("domains").value_or(std::vector<napi_value>())) {
    auto description = read_description(env, item);
    if (!description) {
      return std::nullopt;
    }
    options.domains.push_back(*std::move(description));
  }
  return if_ok(request, std::move(options));
}

std::optional<virt::ImageRequest> read_image(napi_env env, napi_value value) {
  Request request(env, value);
  return if_ok(request, read_image_of(env, request));
}

std::optional<virt::ImageFileRequest> read_image_file(napi_env env, napi_value value) {
  Request request(env, value);
  virt::ImageFileRequest file;
  file.path = request.path("path");
  file.format = request.optional_text("format");
  return if_ok(request, std::move(file));
}

std::optional<virt::ImageCheckRequest> read_image_check(napi_env env, napi_value value) {
  using Scope = image::qcow2::RepairScope;
  auto image = read_image_file(env, value);
  if (!image) {
    return std::nullopt;
  }
  Request request(env, value);
  virt::ImageCheckRequest check{*std::move(image), std::nullopt};
  if (const auto repair = request.optional_text("repair")) {
    check.repair = *repair == "all" ? Scope::kAll : Scope::kLeaks;
  }
  return if_ok(request, std::move(check));
}

std::optional<virt::ImagePullRequest> read_image_pull(napi_env env, napi_value value) {
  Request request(env, value);
  virt::ImagePullRequest pull;
  pull.image = read_image_of(env, request);
  pull.base = request.optional_path("base");
  pull.bandwidth = request.u64("bandwidth");
  pull.trailing = read_trailing(request);
  pull.siblings = request.optional_paths("siblings").value_or(std::vector<std::string>());
  return if_ok(request, std::move(pull));
}

std::optional<virt::CreateRequest> read_create(napi_env env, napi_value value) {
  Request request(env, value);
  virt::CreateRequest create;
  create.path = request.path("path");
  create.size = request.optional_u64("size");
  create.backing_file = request.optional_path("backingFile");
  create.backing_format = request.optional_text("backingFormat");
  create.cluster_size = request.u64("clusterSize");
  create.version = request.u32("version");
  return if_ok(request, std::move(create));
}

std::optional<virt::BlockPullRequest> read_block_pull(napi_env env, napi_value value) {
  Request request(env, value);
  virt::BlockPullRequest pull;
  pull.call = request.text("call") == "virDomainBlockRebase" ? virt::PullCall::kBlockRebase
                                                             : virt::PullCall::kBlockPull;
  pull.uuid = request.text("uuid");
  pull.disk = request.text("disk");
  pull.base = request.optional_path("base");
  pull.bandwidth = request.u64("bandwidth");
  pull.flags = request.u32("flags");
  pull.is_base_exact = request.boolean("exactBase");
  pull.on_error = read_on_error(request);
  pull.trailing = read_trailing(request);
  pull.backing_formats = read_backing_formats(env, request);
  pull.siblings = request.optional_paths("siblings").value_or(std::vector<std::string>());
  if (request.boolean("detached")) {
    pull.finisher = virt::Finisher::kWhoeverIsNext;
  }
  return if_ok(request, std::move(pull));
}

std::optional<bool> read_reads_data(napi_env env, napi_value value) {
  Request request(env, value);
  return if_ok(request, request.boolean("readData"));
}

std::optional<std::uint64_t> read_ticket(napi_env env, napi_value value) {
  Request request(env, value);
  return if_ok(request, request.u64("ticket"));
}

std::optional<virt::DiskRequest> read_disk_request(napi_env env, napi_value value) {
  Request request(env, value);
  virt::DiskRequest disk;
  disk.uuid = request.text("uuid");
  disk.disk = request.text("disk");
  disk.flags = request.u32("flags");
  return if_ok(request, std::move(disk));
}

std::optional<virt::SpeedRequest> read_speed(napi_env env, napi_value value) {
  auto disk = read_disk_request(env, value);
  if (!disk) {
    return std::nullopt;
  }
  Request request(env, value);
  return if_ok(request, virt::SpeedRequest{*std::move(disk), request.u64("bandwidth")});
}

std::optional<virt::Flags> read_flags(napi_env env, napi_value value) {
  Request request(env, value);
  return if_ok(request, request.u32("flags"));
}

std::optional<virt::EventCall> read_event_call(napi_env env, napi_value value) {
  Request request(env, value);
  virt::EventCall call;
  call.event = request.i32("eventId");
  call.domain_uuid = request.optional_text("domainUuid");
  call.domain_name = request.optional_text("domainName").value_or("");
  call.is_of_other_connection = request.boolean("isOfOtherConnection");
  call.callback = request.u64("callback");
  return if_ok(request, std::move(call));
}

std::optional<int> read_registration(napi_env env, napi_value value) {
  Request request(env, value);
  return if_ok(request, request.i32("id"));
}

std::optional<LookupRequest> read_lookup(napi_env env, napi_value value) {
  Request request(env, value);
  LookupRequest lookup;
  lookup.name = request.optional_text("name");
  lookup.uuid = request.optional_text("uuid");
  return if_ok(request, std::move(lookup));
}

std::optional<std::string> read_uuid(napi_env env, napi_value value) {
  Request request(env, value);
  return if_ok(request, request.text("uuid"));
}

std::optional<std::string> read_xml(napi_env env, napi_value value) {
  Request request(env, value);
  return if_ok(request, request.text("xml"));
}

std::optional<std::uint64_t> read_bandwidth(napi_env env, napi_value value) {
  Request request(env, value);
  return if_ok(request, request.u64("bandwidth"));
}

}  // namespace blockpull::napi
