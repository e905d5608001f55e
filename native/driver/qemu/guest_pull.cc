// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/guest_pull.h"

#include <utility>

#include "driver/qemu/guest_view.h"
#include "driver/qemu/same_chain.h"
#include "driver/qemu/stream_conclusion.h"
#include "driver/qemu/stream_follower.h"

namespace blockpull::driver::qemu {
namespace {

/// QEMU has begun it just now.
bool is_new_job(const StreamPlan& plan) {
  return plan.has_work && !plan.was_there;
}

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
        cancel_unstarted_(is_new_job(stream_.plan)) {}

  ~Prepared() override {
    if (cancel_unstarted_) {
      // Held until it is answered: a monitor that is let go sends nothing more.
      monitor_->execute(qmp::job_cancel(stream_.plan.job_id),
                        [monitor = monitor_](const Result<qmp::Json>& /*answer*/) {});
    }
  }

  [[nodiscard]] const StreamPlan& plan() const override { return stream_.plan; }
  [[nodiscard]] bool was_there() const override { return stream_.plan.was_there; }

  [[nodiscard]] std::vector<ChainFile> files() const override {
    std::vector<ChainFile> files;
    for (const BlockNode& layer : plan().layers) {
      files.push_back({layer.filename, layer.seen && layer.seen->is_qemus
                                           ? std::optional(layer.seen->id)
                                           : std::nullopt});
    }
    if (files.empty()) {
      files.push_back({plan().path, {}});
    }
    return files;
  }

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

/// Whether the job works on the chain that was planned for. Of one that has ended, or in a QEMU
/// that cannot be reached, its follower tells.
Result<void> check_works(const Result<GuestView>& view, const StreamPlan& plan) {
  if (!view.ok()) {
    return is_unknown(view.error()) ? Result<void>() : view.error();
  }
  return qmp::find_job(view->jobs, plan.job_id) == nullptr ? Result<void>()
                                                           : check_same_chain(*view, plan);
}

/// A look may be refused for the moment.
constexpr int kLooksAgain = 2;

/// The job is claimed by then: nobody takes it for one that was left.
void look_again(const std::shared_ptr<qmp::Monitor>& monitor, int tries,
                const std::shared_ptr<GuestPullStart>& held,
                const std::function<void(Result<GuestPullStart>)>& then) {
  query_guest(monitor, [monitor, tries, held, then](const Result<GuestView>& view) {
    auto works = check_works(view, held->prepared->plan());
    if (works.ok()) {
      then(std::move(*held));
    } else if (!view.ok() && tries > 1) {
      look_again(monitor, tries - 1, held, then);
    } else {
      // Cancels it.
      held->prepared.reset();
      then(std::move(works).error());
    }
  });
}

}  // namespace

void plan_guest_pull(const std::shared_ptr<job::Engine>& engine,
                     const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                     FindFollower find_follower, std::function<void(Result<GuestPlan>)> then) {
  view_guest(engine, monitor,
             [options, find_follower = std::move(find_follower),
              then = std::move(then)](const Result<GuestView>& view) {
               then(view.ok() ? plan_of_view(*view, options, find_follower) : view.error());
             });
}

void prepare_guest_pull(const std::shared_ptr<job::Engine>& engine,
                        const std::shared_ptr<qmp::Monitor>& monitor,
                        const GuestPullOptions& options, const FindFollower& find_follower,
                        std::function<void(Result<GuestPullStart>)> then) {
  const auto take = [registry = engine->registry().shared_from_this(), monitor,
                     find_follower](StartedStream stream) -> Result<GuestPullStart> {
    if (stream.follower != nullptr) {
      return GuestPullStart{nullptr, std::move(stream.follower)};
    }
    const std::string& id = stream.plan.job_id;
    auto claim = registry->claim_in_guest(monitor->path(), id);
    if (claim.ok()) {
      return GuestPullStart{
          std::make_unique<Prepared>(monitor, std::move(stream), std::move(claim).value()),
          nullptr};
    }
    // The connection's adoption has come in between.
    Follower follower = find_follower(id);
    if (stream.plan.was_there && follower.joinable != nullptr) {
      return GuestPullStart{nullptr, std::move(follower.joinable)};
    }
    return std::move(claim).error();
  };
  start_stream(engine, monitor, options, find_follower,
               [take, monitor, then = std::move(then)](Result<StartedStream> stream) {
                 auto started = stream.ok() ? take(std::move(stream).value())
                                            : Result<GuestPullStart>(std::move(stream).error());
                 if (started.ok() && started->prepared && is_new_job(started->prepared->plan())) {
                   const auto held = std::make_shared<GuestPullStart>(std::move(started).value());
                   look_again(monitor, kLooksAgain, held, then);
                 } else {
                   then(std::move(started));
                 }
               });
}

Result<std::unique_ptr<PreparedGuestPull>> prepare_adoption(
    job::Engine& engine, const std::shared_ptr<qmp::Monitor>& monitor, StreamPlan plan) {
  BLOCKPULL_TRY(claim, engine.registry().claim_in_guest(monitor->path(), plan.job_id));
  auto watch = JobWatch::begin(monitor, plan.job_id);
  std::unique_ptr<PreparedGuestPull> prepared = std::make_unique<Prepared>(
      monitor, StartedStream{std::move(plan), std::move(watch), nullptr}, std::move(claim));
  return prepared;
}

}  // namespace blockpull::driver::qemu
