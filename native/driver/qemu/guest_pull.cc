// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/guest_pull.h"

#include <utility>

#include "driver/qemu/guest_view.h"
#include "driver/qemu/stream_follower.h"

namespace blockpull::driver {
namespace {

/// The follower as a work item.
class GuestPull final : public job::Work {
 public:
  explicit GuestPull(std::shared_ptr<StreamFollower> follower) : follower_(std::move(follower)) {}

  [[nodiscard]] std::uint64_t total() const override { return follower_->plan().virtual_size; }

  void start(job::Host& host, job::Board& board, std::function<void(job::Ending)> finish) override {
    follower_->start(host, board, std::move(finish));
  }
  void stop(job::Stop how) override { follower_->stop(how); }
  void set_bandwidth(std::uint64_t bytes_per_second) override {
    follower_->set_bandwidth(bytes_per_second, {});
  }
  void try_bandwidth(std::uint64_t bytes_per_second,
                     std::function<void(Result<void>)> told) override {
    follower_->set_bandwidth(bytes_per_second, std::move(told));
  }
  void resume(std::function<void(Result<void>)> told) override {
    follower_->resume(std::move(told));
  }
  void fail_rather_than_stop() override { follower_->fail_rather_than_stop(); }

 private:
  const std::shared_ptr<StreamFollower> follower_;
};

class Prepared final : public PreparedGuestPull {
 public:
  Prepared(std::shared_ptr<qmp::Monitor> monitor, StartedStream stream, job::Registry::Claim claim)
      : monitor_(std::move(monitor)),
        stream_(std::move(stream)),
        end_(std::make_shared<GuestPullEnd>()),
        claim_(std::move(claim)),
        cancel_unstarted_(!stream_.was_there) {}

  ~Prepared() override {
    if (cancel_unstarted_) {
      // Held until it is answered: a monitor that is let go sends nothing more.
      monitor_->execute(qmp::job_cancel(stream_.plan.job_id),
                        [monitor = monitor_](const Result<qmp::Json>& /*answer*/) {});
    }
  }

  [[nodiscard]] const StreamPlan& plan() const override { return stream_.plan; }
  [[nodiscard]] std::shared_ptr<const GuestPullEnd> end() const override { return end_; }

  std::shared_ptr<job::Job> start(job::Engine& engine, job::JobOptions options) override {
    cancel_unstarted_ = false;
    auto follower = std::make_shared<StreamFollower>(monitor_, stream_, end_);
    return job::Job::start(engine, std::make_unique<GuestPull>(std::move(follower)),
                           std::move(claim_), std::move(options));
  }

 private:
  const std::shared_ptr<qmp::Monitor> monitor_;
  const StartedStream stream_;
  const std::shared_ptr<GuestPullEnd> end_;
  job::Registry::Claim claim_;
  bool cancel_unstarted_;
};

/// Whether a job of that id in the QEMU behind `monitor` is followed by this process.
std::function<bool(const std::string&)> is_followed_in(job::Engine& engine,
                                                       const qmp::Monitor& monitor) {
  return [registry = engine.registry().shared_from_this(),
          path = monitor.path()](const std::string& job_id) {
    return registry->find_in_guest(path, job_id) != nullptr;
  };
}

}  // namespace

void plan_guest_pull(job::Engine& engine, const std::shared_ptr<qmp::Monitor>& monitor,
                     const GuestPullOptions& options, std::function<void(Result<GuestPlan>)> then) {
  view_guest(monitor, [options, is_followed = is_followed_in(engine, *monitor),
                       then = std::move(then)](const Result<GuestView>& view) {
    then(view.ok() ? plan_of_view(*view, options, is_followed) : view.error());
  });
}

void prepare_guest_pull(job::Engine& engine, const std::shared_ptr<qmp::Monitor>& monitor,
                        const GuestPullOptions& options,
                        std::function<void(Result<std::unique_ptr<PreparedGuestPull>>)> then) {
  start_stream(monitor, options, is_followed_in(engine, *monitor),
               [registry = engine.registry().shared_from_this(), monitor,
                then = std::move(then)](Result<StartedStream> stream) {
                 if (!stream.ok()) {
                   then(std::move(stream).error());
                   return;
                 }
                 auto claim = registry->claim_in_guest(monitor->path(), stream->plan.job_id);
                 if (!claim.ok()) {
                   then(std::move(claim).error());
                   return;
                 }
                 std::unique_ptr<PreparedGuestPull> prepared = std::make_unique<Prepared>(
                     monitor, std::move(stream).value(), std::move(claim).value());
                 then(std::move(prepared));
               });
}

Result<std::unique_ptr<PreparedGuestPull>> prepare_adoption(
    job::Engine& engine, const std::shared_ptr<qmp::Monitor>& monitor, StreamPlan plan) {
  BLOCKPULL_TRY(claim, engine.registry().claim_in_guest(monitor->path(), plan.job_id));
  auto watch = JobWatch::begin(monitor, plan.job_id);
  std::unique_ptr<PreparedGuestPull> prepared = std::make_unique<Prepared>(
      monitor, StartedStream{std::move(plan), std::move(watch), true}, std::move(claim));
  return prepared;
}

}  // namespace blockpull::driver
