// SPDX-License-Identifier: Apache-2.0
//
// What a connection can do, on any host: our form of libvirt's table of a hypervisor driver.
//
//     bindings ─▶ calls    libvirt's public layer, once: read-only rules, entry flags, ids,
//                   │      events
//                   ▼
//          HypervisorDriver  ◀─ hosts/embed: this process, over a folder of domain XML
//
// Another kind, such as a daemon behind a socket, is one more class. A driver refuses what
// libvirt's drivers refuse; the calls above it have already refused what libvirt's entry points
// refuse.
//
// Thread rule: any thread. A call may block for file operations, never for a QEMU. It answers
// exactly once, on this thread or another, at once or later. The `try_` forms never block.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "virt/domains/domain_store.h"
#include "virt/hosts/block_job_requests.h"
#include "virt/session/answer.h"

namespace blockpull::virt {

class HypervisorDriver {
 public:
  HypervisorDriver() = default;
  HypervisorDriver(const HypervisorDriver&) = delete;
  HypervisorDriver& operator=(const HypervisorDriver&) = delete;
  virtual ~HypervisorDriver() = default;

  [[nodiscard]] virtual const std::string& uri() const = 0;
  [[nodiscard]] virtual bool is_read_only() const = 0;
  /// kClosed after close(); `function` is the public name of the call.
  [[nodiscard]] virtual Result<void> check_open(std::string_view function) const = 0;

  /// A domain that cannot be read or asked is in the list, with its error.
  virtual void list_domains(const Answer<std::vector<FoundDomain>>& done) = 0;
  virtual void lookup_name(const std::string& name, const Answer<FoundDomain>& done) = 0;
  /// `uuid` in canonical form.
  virtual void lookup_uuid(const std::string& uuid, const Answer<FoundDomain>& done) = 0;
  virtual void define_xml(const std::string& xml, const Answer<FoundDomain>& done) = 0;
  virtual void domain_xml(const std::string& uuid, const Answer<std::string>& done) = 0;
  /// The disks in the domain's XML; if it states none and the domain runs, the disks of its QEMU.
  virtual void list_disks(const std::string& uuid, Answer<std::vector<Disk>> done) = 0;

  /// Answers once the job runs. `on_end` is called with its outcome, after the connection's event.
  virtual void block_pull(const BlockPullRequest& request,
                          std::function<void(const job::Outcome&)> on_end,
                          Answer<std::shared_ptr<job::Job>> done) = 0;
  virtual void plan_block_pull(const BlockPullRequest& request, Answer<PlanReading> done) = 0;

  virtual void block_job_info(const DiskRequest& request,
                              Answer<std::optional<BlockJobInfo>> done) = 0;
  /// From memory; absent if memory does not have the answer.
  [[nodiscard]] virtual std::optional<Result<std::optional<BlockJobInfo>>> try_block_job_info(
      const DiskRequest& request) = 0;
  virtual void block_job_set_speed(const SpeedRequest& request, Answer<void> done) = 0;
  [[nodiscard]] virtual std::optional<Result<void>> try_block_job_set_speed(
      const SpeedRequest& request) = 0;
  virtual void block_job_resume(const DiskRequest& request, Answer<void> done) = 0;
  /// Answers with the job that is being ended; nullptr if the caller is not to wait for its end.
  virtual void block_job_abort(const DiskRequest& request,
                               Answer<std::shared_ptr<job::Job>> done) = 0;
  virtual void reap_jobs(const std::string& uuid, Answer<std::vector<ReapedJob>> done) = 0;

  /// Refuses every later call, asks its own engine's jobs to end at a consistent point, and
  /// releases the jobs that QEMU runs. May be called again.
  virtual void close() = 0;
  /// For the end of the process: like close(), but no further clusters are linked.
  virtual void abandon() = 0;
  /// Whether no job and no call is left.
  [[nodiscard]] virtual bool is_idle() = 0;
  /// Calls `done` when no job is left; close() has answered the waiting calls.
  virtual void when_idle(std::function<void()> done) = 0;
  virtual void wait_until_idle() = 0;
};

}  // namespace blockpull::virt
