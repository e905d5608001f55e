// SPDX-License-Identifier: Apache-2.0
//
// Jobs on a running domain's disk, through a connection and a real socket: tracked, orphaned and
// foreign ones; and a connection that is closed before QEMU has answered.

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "core/base/inbox.h"
#include "driver/qemu/job_id.h"
#include "driver/qemu/served_qemu.h"
#include "files/temp_folder.h"
#include "virt/guests/orphans.h"
#include "virt/hosts/embed/block_jobs.h"
#include "virt/hosts/embed/block_pull.h"
#include "virt/hosts/embed/reap.h"

namespace blockpull::virt {
namespace {

using driver::qemu::FakeQemu;
using JobResult = Result<std::shared_ptr<job::Job>>;

class GuestJobsTest : public testing::Test {
 protected:
  ~GuestJobsTest() override {
    for (const auto& connection : connections_) {
      connection->close();
      connection->jobs().wait_until_idle();
    }
    connections_.clear();
    qemu_->stop();
    // The reactor may be the last to hold a connection. Once all are gone, the engine ends on this
    // thread.
    for (; opened_ > 0; --opened_) {
      EXPECT_TRUE(gone_->take());
    }
    Inbox<bool> done;
    reactor_->post([&done] { done.put(true); });
    EXPECT_TRUE(done.take());
  }

  std::shared_ptr<Connection> open(bool read_only = false) {
    ConnectOptions options;
    DomainDescription domain;
    domain.name = "vm0";
    domain.qmp = path_;
    Disk disk;
    disk.target = "vda";
    disk.source = "/vms/top.qcow2";
    disk.format = "qcow2";
    domain.disks = {disk};
    options.domains = {domain};
    options.read_only = read_only;
    // The connection's sink holds this, so it is destroyed with the connection.
    const std::shared_ptr<void> alive(nullptr, [gone = gone_](void*) { gone->put(true); });
    auto opened = open_connection(
        engine_, options,
        [events = events_, alive](const BlockJobEvent& event) { events->put(event); });
    EXPECT_TRUE(opened.ok()) << opened.error().error.message;
    connections_.push_back(*opened);
    ++opened_;
    uuid_ = (*opened)->lookup_name("vm0").value().domain.uuid;
    return *opened;
  }

  void pull(const std::shared_ptr<Connection>& connection, std::optional<std::string> base = {}) {
    BlockPullRequest request;
    request.uuid = uuid_;
    request.disk = "vda";
    request.base = std::move(base);
    request.call = request.base ? PullCall::kBlockRebase : PullCall::kBlockPull;
    embed::block_pull(
        connection, request, [ends = ends_](const job::Outcome& outcome) { ends->put(outcome); },
        [jobs = jobs_](JobResult job) { jobs->put(std::move(job)); });
  }

  [[nodiscard]] DiskRequest disk(Flags flags = 0) const { return {uuid_, "vda", flags}; }

  /// The kind of the error that was answered; absent on success.
  std::optional<ErrorKind> answered() {
    auto job = jobs_->take();
    EXPECT_TRUE(job) << "no answer";
    if (job && !job->ok()) {
      RecordProperty("answer", job->error().error.message);
    }
    return !job || job->ok() ? std::nullopt : std::optional(job->error().error.kind);
  }

  job::State ended() {
    auto outcome = ends_->take();
    EXPECT_TRUE(outcome) << "no end";
    return outcome ? outcome->state : job::State::kRunning;
  }

  /// Creates a job in QEMU that nobody tracks.
  void leave(const std::string& id, const std::string& status) {
    qemu_->with([&](FakeQemu& qemu) {
      qemu.job = FakeQemu::Job{};
      qemu.job->id = id;
      qemu.job->status = status;
      qemu.job->offset = status == "running" ? 0 : FakeQemu::kSize;
      qemu.copy_durable = false;
    });
  }

  std::optional<Result<std::optional<BlockJobInfo>>> info(
      const std::shared_ptr<Connection>& connection) {
    const auto told = std::make_shared<Inbox<Result<std::optional<BlockJobInfo>>>>();
    embed::block_job_info(connection, disk(), [told](Result<std::optional<BlockJobInfo>> answer) {
      told->put(std::move(answer));
    });
    return told->take();
  }

  /// Waits until the domain is seen to be shut off.
  bool is_seen_to_be_shut_off(Connection& connection) {
    const Domain domain = connection.domain_of(uuid_).value();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (connection.state_of(domain).value() != DomainState::kShutoff) {
      if (std::chrono::steady_clock::now() > until) {
        return false;
      }
      std::this_thread::yield();
    }
    return true;
  }

  void finish_copying() {
    qemu_->with([](FakeQemu& qemu) { qemu.finish_copying(); });
  }

  const files::TempFolder folder_;
  const std::string path_ = folder_ / "vm0.qmp";
  const std::string our_id_ = driver::qemu::job_id_for(job::Kind::kPull, "vda", "top");
  std::unique_ptr<driver::qemu::ServedQemu> qemu_ =
      std::make_unique<driver::qemu::ServedQemu>(path_);
  const std::shared_ptr<net::Reactor> reactor_ = net::Reactor::shared().value();
  const std::shared_ptr<job::Engine> engine_ = job::Engine::shared().value();
  std::string uuid_;
  const std::shared_ptr<Inbox<BlockJobEvent>> events_ = std::make_shared<Inbox<BlockJobEvent>>();
  const std::shared_ptr<Inbox<job::Outcome>> ends_ = std::make_shared<Inbox<job::Outcome>>();
  const std::shared_ptr<Inbox<JobResult>> jobs_ = std::make_shared<Inbox<JobResult>>();
  const std::shared_ptr<Inbox<bool>> gone_ = std::make_shared<Inbox<bool>>();
  std::size_t opened_ = 0;
  std::vector<std::shared_ptr<Connection>> connections_;
};

TEST_F(GuestJobsTest, QemuDoesThePullWhichIsReportedOnceDurable) {
  const auto connection = open();
  pull(connection);
  EXPECT_EQ(answered(), std::nullopt);
  EXPECT_TRUE(info(connection)->value());
  EXPECT_TRUE(connection->jobs().find(uuid_, "vda"));
  finish_copying();
  EXPECT_EQ(ended(), job::State::kCompleted);
  EXPECT_EQ(events_->take()->status, BlockJobStatus::kCompleted);
  qemu_->with([](const FakeQemu& qemu) {
    EXPECT_TRUE(qemu.is_durable());
    EXPECT_TRUE(qemu.below.empty());
    EXPECT_FALSE(qemu.job);
    EXPECT_TRUE(qemu.faults_of_client.empty());
  });
}

TEST_F(GuestJobsTest, ANamedBaseStays) {
  const auto connection = open();
  pull(connection, "/vms/base.qcow2");
  EXPECT_EQ(answered(), std::nullopt);
  finish_copying();
  const auto outcome = ends_->take();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->state, job::State::kCompleted);
  // Its files cannot be seen from here.
  EXPECT_FALSE(outcome->verified);
  EXPECT_TRUE(outcome->durable);
  EXPECT_TRUE(outcome->released.empty());
  EXPECT_EQ(outcome->warnings.size(), 1U);
  pull(connection, "/vms/mid.qcow2");
  EXPECT_EQ(answered(), ErrorKind::kNoBase);
}

TEST_F(GuestJobsTest, ASecondPullIsRefusedForEveryConnection) {
  const auto first = open();
  const auto second = open();
  pull(first);
  EXPECT_EQ(answered(), std::nullopt);
  pull(first);
  EXPECT_EQ(answered(), ErrorKind::kJobActive);
  pull(second);
  EXPECT_EQ(answered(), ErrorKind::kJobActive);
  EXPECT_TRUE(info(second)->value());
  qemu_->with([](const FakeQemu& qemu) { EXPECT_EQ(qemu.count("job-cancel"), 0U); });
}

TEST_F(GuestJobsTest, AnAbortEndsItInQemu) {
  const auto connection = open();
  pull(connection);
  EXPECT_EQ(answered(), std::nullopt);
  embed::block_job_abort(connection, disk(),
                         [jobs = jobs_](JobResult job) { jobs->put(std::move(job)); });
  EXPECT_EQ(answered(), std::nullopt);
  EXPECT_EQ(ended(), job::State::kCancelled);
  qemu_->with([](const FakeQemu& qemu) {
    EXPECT_EQ(qemu.below.size(), 2U);
    EXPECT_FALSE(qemu.job);
  });
}

TEST_F(GuestJobsTest, AQemuThatEndsLeavesTheEndUnknown) {
  const auto connection = open();
  pull(connection);
  EXPECT_EQ(answered(), std::nullopt);
  qemu_->stop();
  EXPECT_EQ(ended(), job::State::kUnknown);
  EXPECT_EQ(events_->take()->status, BlockJobStatus::kFailed);
}

TEST_F(GuestJobsTest, TheNextConnectionFinishesOrphans) {
  leave(our_id_, "pending");
  const auto connection = open();
  EXPECT_EQ(events_->take()->status, BlockJobStatus::kCompleted);
  qemu_->with([](const FakeQemu& qemu) {
    EXPECT_TRUE(qemu.is_durable());
    EXPECT_FALSE(qemu.job);
  });
}

TEST_F(GuestJobsTest, AReadOnlyConnectionShowsOrphansButLeavesThem) {
  leave(our_id_, "pending");
  const auto connection = open(true);
  const auto shown = info(connection);
  ASSERT_TRUE(shown && shown->ok() && shown->value());
  EXPECT_EQ(shown->value()->end, FakeQemu::kSize);
  qemu_->with([](const FakeQemu& qemu) {
    EXPECT_EQ(qemu.job->status, "pending");
    EXPECT_EQ(qemu.count("blockdev-add"), 0U);
  });
}

TEST_F(GuestJobsTest, AJobOfAnotherProgramIsShownAndNeverTouched) {
  const auto connection = open();
  leave("vda", "pending");
  EXPECT_TRUE(info(connection)->value());
  embed::block_job_abort(connection, disk(),
                         [jobs = jobs_](JobResult job) { jobs->put(std::move(job)); });
  EXPECT_EQ(answered(), ErrorKind::kJobActive);
  Inbox<std::optional<ErrorKind>> speed;
  embed::block_job_set_speed(connection, {disk(), 1}, [&speed](const Result<void>& answer) {
    speed.put(answer.ok() ? std::nullopt : std::optional(answer.error().error.kind));
  });
  EXPECT_EQ(speed.take(), std::optional(ErrorKind::kJobActive));
  qemu_->with([](const FakeQemu& qemu) {
    EXPECT_EQ(qemu.job->status, "pending");
    EXPECT_EQ(qemu.job->speed, 0U);
    for (const char* const command : {"job-cancel", "job-finalize", "blockdev-add"}) {
      EXPECT_EQ(qemu.count(command), 0U) << command;
    }
  });
}

TEST_F(GuestJobsTest, ReapFinishesOrphans) {
  const auto connection = open();
  pull(connection, "/vms/none.qcow2");
  EXPECT_EQ(answered(), ErrorKind::kNoBase);  // the connection's own search is over by then
  leave(our_id_, "pending");
  Inbox<std::vector<ReapedJob>> reaped;
  const auto answer = [&reaped](Result<std::vector<ReapedJob>> jobs) {
    EXPECT_TRUE(jobs.ok());
    reaped.put(jobs.ok() ? *jobs : std::vector<ReapedJob>());
  };
  embed::reap_jobs(connection, uuid_, answer);
  const auto jobs = reaped.take();
  ASSERT_TRUE(jobs);
  ASSERT_EQ(jobs->size(), 1U);
  EXPECT_EQ((*jobs)[0].target, "vda");
  EXPECT_EQ((*jobs)[0].outcome.state, job::State::kCompleted);
  embed::reap_jobs(connection, uuid_, answer);
  EXPECT_EQ(reaped.take()->size(), 0U);
  qemu_->stop();
  ASSERT_TRUE(is_seen_to_be_shut_off(*connection));
  embed::reap_jobs(connection, uuid_, answer);
  EXPECT_EQ(reaped.take()->size(), 0U);
}

TEST_F(GuestJobsTest, ACloseLeavesTheJobInQemuForTheNextConnection) {
  const auto first = open();
  pull(first);
  EXPECT_EQ(answered(), std::nullopt);
  first->close();
  EXPECT_EQ(ended(), job::State::kUnknown);
  EXPECT_EQ(events_->size(), 0U);
  qemu_->with([](const FakeQemu& qemu) { EXPECT_EQ(qemu.job->status, "running"); });
  finish_copying();
  const auto second = open();
  EXPECT_EQ(events_->take()->status, BlockJobStatus::kCompleted);
}

TEST_F(GuestJobsTest, APullStartedDuringCloseIsCancelledInQemu) {
  const auto connection = open();
  qemu_->hold("block-stream");
  pull(connection);
  ASSERT_TRUE(qemu_->wait_until_held());
  connection->close();
  qemu_->release();
  EXPECT_EQ(answered(), ErrorKind::kClosed);
  EXPECT_TRUE(qemu_->wait_for([](const FakeQemu& qemu) { return qemu.count("job-cancel") == 1; }));
  qemu_->with([](const FakeQemu& qemu) {
    EXPECT_FALSE(qemu.job);
    EXPECT_EQ(qemu.below.size(), 2U);
  });
  EXPECT_EQ(ends_->size(), 0U);
}

TEST_F(GuestJobsTest, ACallInFlightAtCloseIsAnswered) {
  const auto connection = open();
  EXPECT_FALSE(info(connection)->value());
  qemu_->hold("query-block-jobs");
  Inbox<bool> told;
  embed::block_job_info(
      connection, disk(),
      [&told](const Result<std::optional<BlockJobInfo>>& answer) { told.put(answer.ok()); });
  ASSERT_TRUE(qemu_->wait_until_held());
  connection->close();
  qemu_->release();
  EXPECT_TRUE(told.take());
  EXPECT_EQ(info(connection)->error().error.kind, ErrorKind::kClosed);
}

TEST_F(GuestJobsTest, AQemuThatIsGoneDoesNotKeepAConnection) {
  qemu_->hold("query-block");
  open();
  ASSERT_TRUE(qemu_->wait_until_held());
  connections_[0]->close();
  connections_.clear();
  EXPECT_EQ(gone_->size(), 0U);  // the search for jobs holds it
  qemu_->stop();
  EXPECT_TRUE(gone_->take());
  --opened_;
}

}  // namespace
}  // namespace blockpull::virt
