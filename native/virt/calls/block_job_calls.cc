// SPDX-License-Identifier: Apache-2.0

#include "virt/calls/block_job_calls.h"

#include <utility>

#include "virt/session/checks.h"
#include "virt/session/job_reports.h"

namespace blockpull::virt {
namespace {

constexpr const char* kInfo = "virDomainGetBlockJobInfo";
constexpr const char* kSetSpeed = "virDomainBlockJobSetSpeed";
constexpr const char* kAbort = "virDomainBlockJobAbort";
constexpr const char* kResume = "blockJobResume";
constexpr const char* kReap = "reap";

Result<void> check_flags_of_call(const BlockPullRequest& request) {
  return request.call == PullCall::kBlockRebase
             ? check_rebase_flags(request.flags, request.base.has_value())
             : Result<void>();
}

Result<void> check_pull(const Connect& connect, const BlockPullRequest& request) {
  BLOCKPULL_CHECK(connect.check_may_change(name_of(request.call)));
  return check_flags_of_call(request);
}

Result<void> check_plan(const Connect& connect, const BlockPullRequest& request) {
  BLOCKPULL_CHECK(connect.driver().check_open(name_of(request.call)));
  return check_flags_of_call(request);
}

/// How the wait for a job's end went. The job may not have ended: it may continue in its QEMU
/// without this process.
Result<void> end_of_wait(const job::Job& job) {
  const auto outcome = job.outcome();
  const bool goes_on = outcome && goes_on_without_us(*outcome);
  return goes_on ? Result<void>(reported(*outcome->error)) : Result<void>();
}

}  // namespace

void block_pull(const std::shared_ptr<Connect>& connect, const BlockPullRequest& request,
                std::function<void(const job::Outcome&)> on_end,
                Answer<std::shared_ptr<job::Job>> done) {
  if (is_refused(check_pull(*connect, request), done)) {
    return;
  }
  connect->driver().block_pull(request, std::move(on_end), std::move(done));
}

void plan_block_pull(const std::shared_ptr<Connect>& connect, const BlockPullRequest& request,
                     Answer<PlanReading> done) {
  if (is_refused(check_plan(*connect, request), done)) {
    return;
  }
  connect->driver().plan_block_pull(request, std::move(done));
}

void block_job_info(const std::shared_ptr<Connect>& connect, const DiskRequest& request,
                    Answer<std::optional<BlockJobInfo>> done) {
  if (is_refused(connect->driver().check_open(kInfo), done)) {
    return;
  }
  connect->driver().block_job_info(request, std::move(done));
}

std::optional<Result<std::optional<BlockJobInfo>>> try_block_job_info(Connect& connect,
                                                                      const DiskRequest& request) {
  if (auto open = connect.driver().check_open(kInfo); !open.ok()) {
    return Result<std::optional<BlockJobInfo>>(std::move(open).error());
  }
  return connect.driver().try_block_job_info(request);
}

void block_job_set_speed(const std::shared_ptr<Connect>& connect, const SpeedRequest& request,
                         Answer<void> done) {
  if (is_refused(connect->check_may_change(kSetSpeed), done)) {
    return;
  }
  connect->driver().block_job_set_speed(request, std::move(done));
}

std::optional<Result<void>> try_block_job_set_speed(Connect& connect, const SpeedRequest& request) {
  if (auto may = connect.check_may_change(kSetSpeed); !may.ok()) {
    return may;
  }
  return connect.driver().try_block_job_set_speed(request);
}

void block_job_resume(const std::shared_ptr<Connect>& connect, const DiskRequest& request,
                      Answer<void> done) {
  if (is_refused(connect->check_may_change(kResume), done)) {
    return;
  }
  connect->driver().block_job_resume(request, std::move(done));
}

void block_job_abort(const std::shared_ptr<Connect>& connect, const DiskRequest& request,
                     Answer<void> done) {
  if (is_refused(connect->check_may_change(kAbort), done)) {
    return;
  }
  connect->driver().block_job_abort(
      request, [done = std::move(done)](Result<std::shared_ptr<job::Job>> ending) {
        if (!ending.ok()) {
          done(std::move(ending).error());
        } else if (*ending == nullptr) {
          done(Result<void>());
        } else {
          (*ending)->when_ended([job = *ending, done] { done(end_of_wait(*job)); });
        }
      });
}

void reap_jobs(const std::shared_ptr<Connect>& connect, const std::string& uuid,
               Answer<std::vector<ReapedJob>> done) {
  if (is_refused(connect->check_may_change(kReap), done)) {
    return;
  }
  connect->driver().reap_jobs(uuid, std::move(done));
}

}  // namespace blockpull::virt
