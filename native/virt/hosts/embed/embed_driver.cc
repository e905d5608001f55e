// SPDX-License-Identifier: Apache-2.0

#include "virt/hosts/embed/embed_driver.h"

#include <utility>

#include "virt/guests/guest_disk.h"
#include "virt/guests/orphans.h"
#include "virt/hosts/embed/block_jobs.h"
#include "virt/hosts/embed/block_pull.h"
#include "virt/hosts/embed/reap.h"

namespace blockpull::virt::embed {
namespace {

class EmbedDriver final : public HypervisorDriver {
 public:
  explicit EmbedDriver(std::shared_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  const std::string& uri() const override { return connection_->uri(); }
  bool is_read_only() const override { return connection_->is_read_only(); }
  Result<void> check_open(std::string_view function) const override {
    return connection_->check_open(function);
  }

  void list_domains(const Answer<std::vector<FoundDomain>>& done) override {
    done(connection_->list_domains());
  }
  void lookup_name(const std::string& name, const Answer<FoundDomain>& done) override {
    done(connection_->lookup_name(name));
  }
  void lookup_uuid(const std::string& uuid, const Answer<FoundDomain>& done) override {
    done(connection_->lookup_uuid(uuid));
  }
  void define_xml(const std::string& xml, const Answer<FoundDomain>& done) override {
    done(connection_->define_xml(xml));
  }
  void domain_xml(const std::string& uuid, const Answer<std::string>& done) override {
    done(connection_->domain_xml(uuid));
  }
  void list_disks(const std::string& uuid, Answer<std::vector<Disk>> done) override {
    virt::list_disks(connection_, uuid, std::move(done));
  }

  void block_pull(const BlockPullRequest& request, std::function<void(const job::Outcome&)> on_end,
                  Answer<std::shared_ptr<job::Job>> done) override {
    embed::block_pull(connection_, request, std::move(on_end), std::move(done));
  }
  void plan_block_pull(const BlockPullRequest& request, Answer<PlanReading> done) override {
    embed::plan_block_pull(connection_, request, std::move(done));
  }

  void block_job_info(const DiskRequest& request,
                      Answer<std::optional<BlockJobInfo>> done) override {
    embed::block_job_info(connection_, request, std::move(done));
  }
  std::optional<Result<std::optional<BlockJobInfo>>> try_block_job_info(
      const DiskRequest& request) override {
    return embed::try_block_job_info(*connection_, request);
  }
  void block_job_set_speed(const SpeedRequest& request, Answer<void> done) override {
    embed::block_job_set_speed(connection_, request, std::move(done));
  }
  std::optional<Result<void>> try_block_job_set_speed(const SpeedRequest& request) override {
    return embed::try_block_job_set_speed(*connection_, request);
  }
  void block_job_resume(const DiskRequest& request, Answer<void> done) override {
    embed::block_job_resume(connection_, request, std::move(done));
  }
  void block_job_abort(const DiskRequest& request,
                       Answer<std::shared_ptr<job::Job>> done) override {
    embed::block_job_abort(connection_, request, std::move(done));
  }
  void reap_jobs(const std::string& uuid, Answer<std::vector<ReapedJob>> done) override {
    embed::reap_jobs(connection_, uuid, std::move(done));
  }

  void close() override { connection_->close(); }
  void abandon() override { connection_->abandon(); }
  // A call that waits for a QEMU holds the connection, and may still start a job on it.
  bool is_idle() override { return connection_.use_count() == 1 && connection_->jobs().is_idle(); }
  void when_idle(std::function<void()> done) override {
    connection_->jobs().when_idle(std::move(done));
  }
  void wait_until_idle() override { connection_->jobs().wait_until_idle(); }

 private:
  const std::shared_ptr<Connection> connection_;
};

}  // namespace

Result<std::shared_ptr<HypervisorDriver>> open_embed_driver(std::shared_ptr<job::Engine> engine,
                                                            ConnectOptions options,
                                                            EventSink on_event) {
  BLOCKPULL_TRY(connection,
                open_connection(std::move(engine), std::move(options), std::move(on_event)));
  return std::shared_ptr<HypervisorDriver>(std::make_shared<EmbedDriver>(std::move(connection)));
}

}  // namespace blockpull::virt::embed
