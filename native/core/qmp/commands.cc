// SPDX-License-Identifier: Apache-2.0

#include "core/qmp/commands.h"

#include <algorithm>
#include <array>
#include <utility>

namespace blockpull::qmp {
namespace {

constexpr std::array<std::pair<std::string_view, JobStatus>, 10> kStatuses{{
    {"created", JobStatus::kCreated},
    {"running", JobStatus::kRunning},
    {"paused", JobStatus::kPaused},
    {"ready", JobStatus::kReady},
    {"standby", JobStatus::kStandby},
    {"waiting", JobStatus::kWaiting},
    {"pending", JobStatus::kPending},
    {"aborting", JobStatus::kAborting},
    {"concluded", JobStatus::kConcluded},
    {"null", JobStatus::kNull},
}};

/// The status alone is not enough: QEMU also pauses a job for a moment while it drains it.
std::optional<ErrorKind> read_stop(const Json& job) {
  const std::string status = job.member("io-status").text_or_empty();
  if (!job.member("paused").is_true() || status.empty() || status == "ok") {
    return std::nullopt;
  }
  return status == "nospace" ? ErrorKind::kNoSpace : ErrorKind::kIo;
}

Command for_job(const char* name, std::string_view id) {
  return {name, JsonWriter().member("id", id).text(), true};
}

BlockJob read_block_job(const Json& element) {
  BlockJob job;
  job.id = element.member("device").text_or_empty();
  job.type = element.member("type").text_or_empty();
  job.status = parse_job_status(element.member("status").text_or_empty());
  job.offset = element.member("offset").number().value_or(0);
  job.length = element.member("len").number().value_or(0);
  job.speed = element.member("speed").number().value_or(0);
  job.auto_finalize = element.member("auto-finalize").boolean().value_or(true);
  job.stopped_on = read_stop(element);
  job.error = element.member("error").text();
  return job;
}

}  // namespace

Command block_stream(const BlockStream& stream) {
  JsonWriter arguments;
  arguments.member("job-id", stream.job_id).member("device", stream.device);
  if (stream.base_node) {
    arguments.member("base-node", *stream.base_node);
  }
  if (stream.backing_file) {
    arguments.member("backing-file", *stream.backing_file);
  }
  if (stream.speed > 0) {
    arguments.number("speed", stream.speed);
  }
  if (stream.on_error != "report") {
    arguments.member("on-error", stream.on_error);
  }
  arguments.member("auto-finalize", stream.auto_finalize).member("auto-dismiss", true);
  return {"block-stream", arguments.text(), true};
}

Command job_cancel(std::string_view id) {
  return for_job("job-cancel", id);
}

Command job_finalize(std::string_view id) {
  return for_job("job-finalize", id);
}

Command job_pause(std::string_view id) {
  return for_job("job-pause", id);
}

Command job_resume(std::string_view id) {
  return for_job("job-resume", id);
}

Command block_job_resume(std::string_view id) {
  return {"block-job-resume", JsonWriter().member("device", id).text(), false};
}

Command block_job_set_speed(std::string_view id, std::uint64_t bytes_per_second) {
  return {"block-job-set-speed",
          JsonWriter().member("device", id).number("speed", bytes_per_second).text(), false};
}

JobStatus parse_job_status(std::string_view name) {
  for (const auto& [known, status] : kStatuses) {
    if (known == name) {
      return status;
    }
  }
  return JobStatus::kOther;
}

Command query_block_jobs() {
  return {"query-block-jobs", "", false};
}

std::vector<BlockJob> read_block_jobs(const Json& answer) {
  std::vector<BlockJob> jobs;
  for (std::size_t i = 0; i < answer.size(); ++i) {
    jobs.push_back(read_block_job(answer.at(i)));
  }
  return jobs;
}

const BlockJob* find_job(const std::vector<BlockJob>& jobs, std::string_view id) {
  const auto found =
      std::find_if(jobs.begin(), jobs.end(), [id](const BlockJob& job) { return job.id == id; });
  return found == jobs.end() ? nullptr : &*found;
}

std::optional<std::string> changed_job(const Event& event) {
  return event.name == "JOB_STATUS_CHANGE" ? event.data.member("id").text() : std::nullopt;
}

}  // namespace blockpull::qmp
