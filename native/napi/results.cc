// SPDX-License-Identifier: Apache-2.0

#include "napi/results.h"

#include "napi/record.h"

namespace blockpull::napi {
namespace {

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

/// In milliseconds.
}  // namespace

napi_value make_text(napi_env env, std::string_view text) {
  napi_value out = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &out);
  return out;
}

napi_value make_number(napi_env env, int number) {
  napi_value out = nullptr;
  napi_create_int32(env, number, &out);
  return out;
}

napi_value make_null(napi_env env) {
  napi_value out = nullptr;
  napi_get_null(env, &out);
  return out;
}

napi_value make_undefined(napi_env env) {
  napi_value out = nullptr;
  napi_get_undefined(env, &out);
  return out;
}

/// null if the error is not QEMU's.
napi_value make_qemu_origin(napi_env env, const std::optional<QemuOrigin>& qemu) {
  if (!qemu) {
    return make_null(env);
  }
  return Record(env)
      .text("command", qemu->command)
      .text_or_null("class", qemu->error_class)
      .text_or_null("message", qemu->words)
      .object();
}

napi_value make_failure(napi_env env, const virt::Failure& failure) {
  const Error& error = failure.error;
  Record record(env);
  record.text("code", virt::mapping_of(error.kind).js_code)
      .text("message", error.message)
      .number("virCode", static_cast<int>(failure.code))
      .number("virDomain", static_cast<int>(failure.domain))
      .number("virLevel", virt::kErrorLevel)
      .text_or_null("syscall", error.system_call)
      .value("qemu", make_qemu_origin(env, error.qemu))
      .text_or_null("path", error.path)
      .text_or_null("pathBytes", bytes_beside(error.path))
      .text_or_null("holder", error.holder)
      .text_or_null("hint", error.hint)
      .value("cause", error.cause == nullptr ? make_null(env)
                                             : make_failure(env, virt::plain(*error.cause)));
  error.error_number != 0 ? record.number("errno", error.error_number) : record.null("errno");
  error.offset ? record.u64("offset", *error.offset) : record.null("offset");
  error.bytes_needed != 0 ? record.u64("bytesNeeded", error.bytes_needed)
                          : record.null("bytesNeeded");
  return record.object();
}

napi_value make_disks(napi_env env, const std::vector<virt::Disk>& disks) {
  return make_array(env, disks, &make_disk);
}

napi_value make_domain(napi_env env, const virt::FoundDomain& domain) {
  Record record(env);
  record.text("name", domain.domain.name)
      .text("uuid", domain.domain.uuid)
      .number("id", domain.id)
      .number("state", static_cast<int>(domain.state))
      .value("disks", make_disks(env, domain.domain.disks));
  domain.error ? record.value("error", make_failure(env, *domain.error)) : record.null("error");
  return record.object();
}

napi_value make_domains(napi_env env, const std::vector<virt::FoundDomain>& domains) {
  return make_array(env, domains, &make_domain);
}

napi_value make_notice(napi_env env, const virt::EventNotice& notice) {
  return Record(env)
      .number("event", notice.event)
      .text("disk", notice.disk)
      .value("registrations", make_array(env, notice.registrations, &make_number))
      .object();
}

napi_value make_event(napi_env env, const virt::BlockJobEvent& event, virt::ConnectState& state) {
  Record record(env);
  record
      .value("domain", Record(env)
                           .text("name", event.domain_name)
                           .text("uuid", event.domain_uuid)
                           .number("id", state.ids.known(event.domain_uuid))
                           .object())
      .text("target", event.target)
      .text("path", event.path)
      .number("type", static_cast<int>(event.type))
      .number("status", static_cast<int>(event.status))
      .value("notices", make_array(env, state.events.notices(event), &make_notice));
  event.error ? record.value("error", make_failure(env, *event.error)) : record.null("error");
  return record.object();
}

napi_value make_info(napi_env env, const std::optional<virt::BlockJobInfo>& info) {
  if (!info) {
    return make_null(env);
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

}  // namespace blockpull::napi
