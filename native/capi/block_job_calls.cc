// SPDX-License-Identifier: Apache-2.0
//
// The calls on block jobs, for which this library exists.

#include "virt/calls/block_job_calls.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "capi/call.h"
#include "capi/handles.h"
#include "capi/wait.h"

namespace blockpull::capi {
namespace {

using Started = std::shared_ptr<job::Job>;

int pull(const Call& call, virDomainPtr dom, virt::BlockPullRequest request) {
  request.uuid = dom->uuid();
  // A C program may exit as soon as this returns; nobody would then finish the job.
  request.finisher = virt::Finisher::kWhoeverIsNextWhereItRuns;
  return call.status(answer_of<Started>(
      [&](auto answer) { virt::block_pull(dom->connection().virt(), request, nullptr, answer); }));
}

}  // namespace
}  // namespace blockpull::capi

using blockpull::capi::answer_of;
using blockpull::capi::Call;
namespace virt = blockpull::virt;

int virDomainBlockPull(virDomainPtr dom, const char* disk, unsigned long bandwidth,
                       unsigned int flags) {
  const Call call("virDomainBlockPull");
  if (!call.takes(dom) || !call.may_write(dom) || !call.has(disk, "disk")) {
    return -1;
  }
  virt::BlockPullRequest request;
  request.disk = disk;
  request.bandwidth = bandwidth;
  request.flags = flags;
  return blockpull::capi::pull(call, dom, std::move(request));
}

int virDomainBlockRebase(virDomainPtr dom, const char* disk, const char* base,
                         unsigned long bandwidth, unsigned int flags) {
  const Call call("virDomainBlockRebase");
  if (!call.takes(dom) || !call.may_write(dom) || !call.has(disk, "disk")) {
    return -1;
  }
  virt::BlockPullRequest request;
  request.call = virt::PullCall::kBlockRebase;
  request.disk = disk;
  request.base = base == nullptr ? std::nullopt : std::optional<std::string>(base);
  request.bandwidth = bandwidth;
  request.flags = flags;
  return blockpull::capi::pull(call, dom, std::move(request));
}

int virDomainBlockJobAbort(virDomainPtr dom, const char* disk, unsigned int flags) {
  const Call call("virDomainBlockJobAbort");
  if (!call.takes(dom) || !call.may_write(dom) || !call.has(disk, "disk")) {
    return -1;
  }
  return call.status(answer_of<void>([&](auto answer) {
    virt::block_job_abort(dom->connection().virt(), {dom->uuid(), disk, flags}, answer);
  }));
}

int virDomainBlockJobSetSpeed(virDomainPtr dom, const char* disk, unsigned long bandwidth,
                              unsigned int flags) {
  const Call call("virDomainBlockJobSetSpeed");
  if (!call.takes(dom) || !call.may_write(dom) || !call.has(disk, "disk")) {
    return -1;
  }
  const virt::SpeedRequest request{{dom->uuid(), disk, flags}, bandwidth};
  return call.status(answer_of<void>(
      [&](auto answer) { virt::block_job_set_speed(dom->connection().virt(), request, answer); }));
}

int virDomainGetBlockJobInfo(virDomainPtr dom, const char* disk, virDomainBlockJobInfoPtr info,
                             unsigned int flags) {
  using Info = std::optional<virt::BlockJobInfo>;
  const Call call("virDomainGetBlockJobInfo");
  if (info != nullptr) {
    *info = {};
  }
  if (!call.takes(dom) || !call.has(disk, "disk") || !call.has(info, "info")) {
    return -1;
  }
  const auto found = answer_of<Info>([&](auto answer) {
    virt::block_job_info(dom->connection().virt(), {dom->uuid(), disk, flags}, answer);
  });
  if (!call.succeeded(found)) {
    return -1;
  }
  const Info& job = found.value();
  if (!job) {
    return 0;
  }
  *info = {static_cast<int>(job->type), job->bandwidth, job->cur, job->end};
  return 1;
}
