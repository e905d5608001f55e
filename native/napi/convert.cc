// SPDX-License-Identifier: Apache-2.0
//
// Property by property in the order of lib/native.ts. Nothing is decided here but what absent
// values look like.

#include "napi/convert.h"

#include <utility>

#include "napi/record.h"
#include "napi/request.h"

namespace blockpull::napi {
namespace {

template <typename T>
std::optional<T> if_ok(const Request& request, T value) {
  return request.ok() ? std::optional<T>(std::move(value)) : std::nullopt;
}

/// A file and its format, in an array or absent.
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

qmp::OnError read_on_error(Request& request) {
  const std::string policy = request.text("onError");
  if (policy == "stop") {
    return qmp::OnError::kStop;
  }
  return policy == "enospc" ? qmp::OnError::kEnospc : qmp::OnError::kReport;
}

driver::TrailingPolicy read_trailing(Request& request) {
  const std::string wanted = request.text("trailingData");
  return wanted == "keep"      ? driver::TrailingPolicy::kKeep
         : wanted == "discard" ? driver::TrailingPolicy::kDiscard
                               : driver::TrailingPolicy::kRefuse;
}

napi_value make_disk(napi_env env, const virt::Disk& disk) {
  const auto make_format = [](napi_env in, const image::FileFormat& stated) {
    return Record(in).text("path", stated.path).text("format", stated.format).object();
  };
  return Record(env)
      .text("target", disk.target)
      .text("source", disk.source)
      .text("format", disk.format)
      .value("backingFormats", make_array(env, disk.backing_formats, make_format))
      .object();
}

const char* phase_name(job::Phase phase) {
  switch (phase) {
    case job::Phase::kPaused:
      return "paused";
    case job::Phase::kPending:
      return "pending";
    case job::Phase::kMoving:
      break;
  }
  return "moving";
}

/// An error's code, for Record::text_or_null.
std::string_view code_or_empty(std::optional<ErrorKind> kind) {
  return kind ? virt::mapping_of(*kind).js_code : std::string_view();
}

napi_value make_trailing(napi_env env, const std::optional<job::Trailing>& trailing) {
  if (!trailing) {
    napi_value null = nullptr;
    napi_get_null(env, &null);
    return null;
  }
  return Record(env).u64("offset", trailing->offset).u64("bytes", trailing->bytes).object();
}

napi_value make_outcome(napi_env env, const job::Outcome& outcome) {
  Record record(env);
  record.text("state", job::state_name(outcome.state));
  if (outcome.error) {
    record.value("error", make_failure(env, virt::plain(*outcome.error)));
  } else {
    record.null("error");
  }
  return record.u64("bytesMoved", outcome.bytes_moved)
      .number("seconds", outcome.seconds)
      .text("method", outcome.method)
      .files("released", "releasedBytes", outcome.released)
      .texts("warnings", outcome.warnings)
      .boolean("verified", outcome.verified)
      .boolean("durable", outcome.durable)
      .value("trailingData", make_trailing(env, outcome.trailing))
      .object();
}

napi_value make_layer(napi_env env, const image::LayerInfo& layer) {
  return Record(env)
      .file("path", "pathBytes", layer.path)
      .text("format", image::format_name(layer.format))
      .u64("virtualSize", layer.virtual_size)
      .u64("allocatedBytes", layer.allocated_bytes)
      .u64("fileSize", layer.file_size)
      .u64("clusterSize", layer.cluster_size)
      .u64("visibleBytes", layer.visible_bytes)
      .u64("dataBytes", layer.data_bytes)
      .text_or_null("backingFile", layer.backing ? layer.backing->name : "")
      .text_or_null("backingFormat", layer.backing ? layer.backing->format : "")
      .text_or_null("inUseBy", layer.in_use_by)
      .object();
}

/// In milliseconds.
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

std::optional<virt::ImagePullRequest> read_image_pull(napi_env env, napi_value value) {
  Request request(env, value);
  virt::ImagePullRequest pull;
  pull.image = read_image_of(env, request);
  pull.base = request.optional_path("base");
  pull.bytes_per_second = request.u64("bytesPerSecond");
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
  return if_ok(request, request.u64("bytesPerSecond"));
}

napi_value make_text(napi_env env, std::string_view text) {
  napi_value out = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &out);
  return out;
}

napi_value make_undefined(napi_env env) {
  napi_value out = nullptr;
  napi_get_undefined(env, &out);
  return out;
}

napi_value make_failure(napi_env env, const virt::Failure& failure) {
  const Error& error = failure.error;
  Record record(env);
  record.text("code", virt::mapping_of(error.kind).js_code)
      .text("message", error.message)
      .number("virCode", static_cast<int>(failure.code))
      .number("virDomain", static_cast<int>(failure.domain))
      .text_or_null("syscall", error.operation)
      .text_or_null("path", error.path)
      .text_or_null("pathBytes", bytes_beside(error.path))
      .text_or_null("holder", error.holder)
      .text_or_null("hint", error.hint)
      .null("cause");
  error.error_number != 0 ? record.number("errno", error.error_number) : record.null("errno");
  error.offset ? record.u64("offset", *error.offset) : record.null("offset");
  error.bytes_needed != 0 ? record.u64("bytesNeeded", error.bytes_needed)
                          : record.null("bytesNeeded");
  return record.object();
}

napi_value make_disks(napi_env env, const std::vector<virt::Disk>& disks) {
  return make_array(env, disks, &make_disk);
}

napi_value make_domain(napi_env env, const virt::DomainWithState& domain) {
  Record record(env);
  record.text("name", domain.domain.name)
      .text("uuid", domain.domain.uuid)
      .number("state", static_cast<int>(domain.state))
      .value("disks", make_disks(env, domain.domain.disks));
  domain.error ? record.value("error", make_failure(env, *domain.error)) : record.null("error");
  return record.object();
}

napi_value make_domains(napi_env env, const std::vector<virt::DomainWithState>& domains) {
  return make_array(env, domains, &make_domain);
}

napi_value make_event(napi_env env, const virt::BlockJobEvent& event) {
  Record record(env);
  record
      .value("domain",
             Record(env).text("name", event.domain_name).text("uuid", event.domain_uuid).object())
      .text("target", event.target)
      .text("path", event.path)
      .number("type", static_cast<int>(event.type))
      .number("status", static_cast<int>(event.status));
  event.error ? record.value("error", make_failure(env, *event.error)) : record.null("error");
  return record.object();
}

napi_value make_info(napi_env env, const std::optional<virt::BlockJobInfo>& info) {
  if (!info) {
    napi_value out = nullptr;
    napi_get_null(env, &out);
    return out;
  }
  return Record(env)
      .number("type", static_cast<int>(info->type))
      .u64("bandwidth", info->bandwidth)
      .u64("cur", info->cur)
      .u64("end", info->end)
      .text("state", virt::name_of(info->does))
      .text_or_null("stoppedOn", code_or_empty(info->stopped_on))
      .boolean("foreign", info->is_foreign)
      .object();
}

napi_value make_progress(napi_env env, const job::Progress& progress) {
  return Record(env)
      .text("state", job::state_name(progress.state))
      .u64("cur", progress.settled)
      .u64("end", progress.total)
      .u64("bytesMoved", progress.moved)
      .u64("bytesToMove", progress.to_move)
      .u64("bytesPerSecond", progress.bytes_per_second)
      .u64("bandwidth", progress.bandwidth)
      .text("method", progress.method)
      .text_or_null("stoppedOn", code_or_empty(progress.stopped_on))
      .text("phase", phase_name(progress.phase))
      .u64("silentNs", progress.silent_ns)
      .object();
}

napi_value make_update(napi_env env, const job::Progress& progress, const job::Outcome* outcome) {
  Record record(env);
  record.value("progress", make_progress(env, progress));
  outcome != nullptr ? record.value("outcome", make_outcome(env, *outcome))
                     : record.null("outcome");
  return record.object();
}

napi_value make_walk_progress(napi_env env, const std::optional<WalkProgress>& progress) {
  if (!progress) {
    napi_value out = nullptr;
    napi_get_null(env, &out);
    return out;
  }
  return Record(env)
      .text("phase", progress->phase == WalkPhase::kData ? "data" : "tables")
      .u64("bytesDone", progress->done_bytes)
      .u64("bytesTotal", progress->total_bytes)
      .object();
}

napi_value make_plan(napi_env env, const virt::TimedPlan& timed) {
  const driver::PullPlan& plan = timed.plan;
  Record record(env);
  record.u64("bytesToMove", plan.bytes_to_move)
      .u64("bytesToAllocate", plan.bytes_to_allocate)
      .u64("virtualSize", plan.virtual_size)
      .text("method", plan.method)
      .value("refusals", make_array(env, timed.refusals, &make_failure))
      .files("released", "releasedBytes", plan.released)
      .text_or_null("base", plan.base.value_or(""));
  record.value("trailingData", make_trailing(env, plan.trailing));
  plan.bytes_free ? record.u64("bytesFree", *plan.bytes_free) : record.null("bytesFree");
  timed.seconds ? record.number("seconds", *timed.seconds) : record.null("seconds");
  return record.object();
}

napi_value make_reaped(napi_env env, const std::vector<virt::ReapedJob>& jobs) {
  return make_array(env, jobs, [](napi_env in, const virt::ReapedJob& job) {
    return Record(in)
        .text("target", job.target)
        .text("path", job.path)
        .value("outcome", make_outcome(in, job.outcome))
        .object();
  });
}

napi_value make_layers(napi_env env, const std::vector<image::LayerInfo>& layers) {
  return make_array(env, layers, &make_layer);
}

napi_value make_digest(napi_env env, const image::Digest& digest) {
  return Record(env).text("sha256", digest.sha256).u64("bytes", digest.bytes).object();
}

}  // namespace blockpull::napi
