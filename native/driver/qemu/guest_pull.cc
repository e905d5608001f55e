// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/guest_pull.h"

#include <utility>

#include "driver/qemu/guest_view.h"
#include "driver/qemu/job_tracker.h"
#include "driver/qemu/same_chain.h"

namespace blockpull::driver::qemu {
namespace {

/// Whether QEMU has just started the job.
bool is_new_job(const StreamPlan& plan) {
  return plan.has_work && !plan.was_there;
}

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
      // Held until it is answered, since a released monitor sends nothing more.
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
    const auto make_operations = [monitor = monitor_, plan = stream_.plan, end = end_](
                                     job::Host& host, const std::shared_ptr<HostCalls>& calls) {
      return std::make_shared<StreamConclusion>(monitor, plan, end, host, calls);
    };
    return job::Job::start(
        engine,
        std::make_shared<JobTracker>(monitor_, stream_.plan, stream_.watch, make_operations),
        std::move(claim_), std::move(options));
  }

 private:
  const std::shared_ptr<qmp::Monitor> monitor_;
  const StartedStream stream_;
  const std::shared_ptr<GuestPullEnd> end_;
  job::Registry::Claim claim_;
  bool cancel_unstarted_;
};

/// Whether the job works on the chain that was planned. The tracker reports a job that has ended,
/// and a QEMU that cannot be reached.
Result<void> check_works(const Result<GuestView>& view, const StreamPlan& plan) {
  if (!view.ok()) {
    return is_unknown(view.error()) ? Result<void>() : view.error();
  }
  return qmp::find_job(view->jobs, plan.job_id) == nullptr ? Result<void>()
                                                           : check_same_chain(*view, plan);
}

/// Attempts: QEMU may refuse a query for a moment.
constexpr int kLooksAgain = 2;

/// The job is claimed already, so nobody takes it for an orphan.
void look_again(const std::shared_ptr<qmp::Monitor>& monitor, int tries,
                const std::shared_ptr<GuestPullStart>& held,
                const std::function<void(Result<GuestPullStart>)>& done) {
  query_guest(monitor, [monitor, tries, held, done](const Result<GuestView>& view) {
    auto works = check_works(view, held->prepared->plan());
    if (works.ok()) {
      done(std::move(*held));
    } else if (!view.ok() && tries > 1) {
      look_again(monitor, tries - 1, held, done);
    } else {
      // The destructor cancels the job.
      held->prepared.reset();
      done(std::move(works).error());
    }
  });
}

}  // namespace

void plan_guest_pull(const std::shared_ptr<job::Engine>& engine,
                     const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                     FindTrackedJob find_tracked_job, std::function<void(Result<GuestPlan>)> done) {
  view_guest(engine, monitor,
             [options, find_tracked_job = std::move(find_tracked_job),
              done = std::move(done)](const Result<GuestView>& view) {
               done(view.ok() ? plan_of_view(*view, options, find_tracked_job) : view.error());
             });
}

void prepare_guest_pull(const std::shared_ptr<job::Engine>& engine,
                        const std::shared_ptr<qmp::Monitor>& monitor,
                        const GuestPullOptions& options, const FindTrackedJob& find_tracked_job,
                        std::function<void(Result<GuestPullStart>)> done) {
  const auto take = [registry = engine->registry().shared_from_this(), monitor,
                     find_tracked_job](StartedStream stream) -> Result<GuestPullStart> {
    if (stream.tracked_job != nullptr) {
      return GuestPullStart{nullptr, std::move(stream.tracked_job)};
    }
    const std::string& node = stream.plan.node;
    auto claim = registry->claim_in_guest(monitor->path(), node);
    if (claim.ok()) {
      return GuestPullStart{
          std::make_unique<Prepared>(monitor, std::move(stream), std::move(claim).value()),
          nullptr};
    }
    // The connection may just have adopted the job.
    TrackedJob tracked_job = find_tracked_job(node);
    if (stream.plan.was_there && tracked_job.joinable != nullptr) {
      return GuestPullStart{nullptr, std::move(tracked_job.joinable)};
    }
    return std::move(claim).error();
  };
  start_stream(engine, monitor, options, find_tracked_job,
               [take, monitor, done = std::move(done)](Result<StartedStream> stream) {
                 auto started = stream.ok() ? take(std::move(stream).value())
                                            : Result<GuestPullStart>(std::move(stream).error());
                 if (started.ok() && started->prepared && is_new_job(started->prepared->plan())) {
                   const auto held = std::make_shared<GuestPullStart>(std::move(started).value());
                   look_again(monitor, kLooksAgain, held, done);
                 } else {
                   done(std::move(started));
                 }
               });
}

Result<std::unique_ptr<PreparedGuestPull>> prepare_adoption(
    job::Engine& engine, const std::shared_ptr<qmp::Monitor>& monitor, StreamPlan plan) {
  BLOCKPULL_TRY(claim, engine.registry().claim_in_guest(monitor->path(), plan.node));
  auto watch = JobWatch::begin(monitor, plan.job_id);
  std::unique_ptr<PreparedGuestPull> prepared = std::make_unique<Prepared>(
      monitor, StartedStream{std::move(plan), std::move(watch), nullptr}, std::move(claim));
  return prepared;
}

}  // namespace blockpull::driver::qemu
