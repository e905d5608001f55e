// SPDX-License-Identifier: Apache-2.0
//
// Checks in the order of libvirt's driver: its own checks first, then those of the image, and the
// bandwidth last. A disk that only QEMU knows may turn out not to exist, so other bad arguments are
// reported after QEMU was asked for it.

#include "virt/hosts/embed/block_pull.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "core/base/text.h"
#include "driver/local/prepare_pull.h"
#include "virt/chains/known_chains.h"
#include "virt/chains/released_layers.h"
#include "virt/guests/pull_in_guest.h"
#include "virt/hosts/embed/block_jobs.h"
#include "virt/session/base_name.h"
#include "virt/session/checks.h"
#include "virt/session/job_reports.h"
#include "virt/session/pull_refusal.h"

namespace blockpull::virt::embed {
namespace {

constexpr Flags kRebaseFlags = flag::kRebaseShallow | flag::kRebaseReuseExt | flag::kRebaseCopyRaw |
                               flag::kRebaseCopy | flag::kRebaseRelative | flag::kRebaseCopyDev |
                               flag::kRebaseBandwidthBytes;

static_assert(flag::kPullBandwidthBytes == flag::kRebaseBandwidthBytes);

/// A disk that may be pulled, and how.
struct Target {
  Domain domain;
  Disk disk;
  bool is_running = false;
  /// The domain's XML states the disk.
  bool is_described = false;
  std::optional<driver::BaseChoice> base;
  bool require_relative = false;
  std::vector<std::string> siblings;
  /// Only for a disk that the XML does not state: why no chain can have that base.
  std::optional<Failure> base_refusal;
  /// Only for a plan under a running guest: a pull would be refused because of a job, and the plan
  /// reports that.
  std::optional<Failure> busy;
};

/// The checks of flags, made before any domain is looked up.
Result<void> check_pull_flags(const BlockPullRequest& request) {
  const bool is_rebase = request.call == PullCall::kBlockRebase;
  BLOCKPULL_CHECK(check_flags(request.flags, is_rebase ? kRebaseFlags : flag::kPullBandwidthBytes,
                              is_rebase ? "qemuDomainBlockRebase" : "qemuDomainBlockPull"));
  if ((request.flags & flag::kRebaseCopy) != 0) {
    return report(ErrorKind::kUnsupported, ErrorCode::kNoSupport, ErrorDomain::kPublic,
                  "virDomainBlockRebase with VIR_DOMAIN_BLOCK_REBASE_COPY");
  }
  return {};
}

/// A guest's QEMU may have disks that no XML describes.
Result<void> find_target_disk(Target& target, const std::string& name) {
  auto disk = find_disk(target.domain, name);
  target.is_described = disk.ok();
  if (!disk.ok() && !target.is_running) {
    return std::move(disk).error();
  }
  target.disk = disk.ok() ? std::move(disk).value() : undescribed_disk(name);
  return {};
}

/// An index that no chain has.
constexpr auto kNoLayer = std::numeric_limits<std::size_t>::max();

/// Checks the disk and then the base, in libvirt's order.
Result<void> judge_disk(Target& target, const BlockPullRequest& request) {
  const auto& base = request.base;
  BLOCKPULL_CHECK(check_disk_takes_jobs(target.disk));
  if (!target.is_running) {
    BLOCKPULL_CHECK(check_disk_is_local_image(target.disk));
  }
  if (!base) {
    return {};
  }
  auto parsed = parse_base(*base, target.disk);
  if (!parsed.ok() && target.is_described) {
    return std::move(parsed).error();
  }
  if (parsed.ok()) {
    target.base = std::move(parsed).value();
  } else {
    target.base = driver::BaseChoice{*base, kNoLayer};
    target.base_refusal = std::move(parsed).error();
  }
  target.base->is_exact = request.is_base_exact;
  return {};
}

/// Checks everything from the domain to the base, in libvirt's order.
Result<Target> find_target(Connection& connection, const BlockPullRequest& request, bool is_plan) {
  Target target;
  BLOCKPULL_TRY(domain, connection.domain_of(request.uuid));
  target.domain = std::move(domain);
  target.require_relative = (request.flags & flag::kRebaseRelative) != 0;
  if (target.require_relative && !request.base) {
    return report(ErrorKind::kInvalidArgument,
                  "flag VIR_DOMAIN_BLOCK_REBASE_RELATIVE is valid only with non-null base");
  }
  BLOCKPULL_TRY(state, connection.state_of(target.domain));
  target.is_running = state == DomainState::kRunning;
  BLOCKPULL_CHECK(find_target_disk(target, request.disk));
  const auto own = connection.jobs().find(target.domain.uuid, target.disk.target);
  const bool is_busy =
      own ? !own->is_orphan : job_on_image(connection, target.disk.source) != nullptr;
  if (is_busy) {
    target.busy = job_active_on(target.disk.target);
    // A plan under a running guest also reports what else would refuse a pull.
    if (!is_plan || !target.is_running) {
      return *std::move(target.busy);
    }
  }
  if (auto judged = judge_disk(target, request); !judged.ok()) {
    return target.busy ? *std::move(target.busy) : std::move(judged).error();
  }
  BLOCKPULL_CHECK(lifted(check_siblings(request.siblings), &reported));
  target.siblings = request.siblings;
  return target;
}

Result<driver::PullOptions> local_options(const Connection& connection, const Target& target,
                                          const BlockPullRequest& request) {
  BLOCKPULL_TRY(format, lifted(image::parse_format(target.disk.format), &reported));
  BLOCKPULL_TRY(
      formats,
      lifted(stated_formats(request.backing_formats, target.disk.backing_formats), &reported));
  driver::PullOptions options;
  options.chain.formats = std::move(formats);
  options.path = target.disk.source;
  options.chain.format = format;
  options.chain.backing_paths = connection.options().backing_paths;
  options.base = target.base;
  options.require_relative = target.require_relative;
  options.trailing = request.trailing;
  options.reads_data = request.reads_data;
  return options;
}

AskedPull asked_of_driver(const Target& target) {
  return {target.disk, target.base, target.require_relative};
}

/// 82, then 1: both come after all errors of the disk.
Result<std::uint64_t> read_bandwidth(const BlockPullRequest& request) {
  const bool in_bytes = (request.flags & flag::kPullBandwidthBytes) != 0;
  BLOCKPULL_CHECK(check_bandwidth(request.bandwidth, in_bytes));
  return to_bytes_per_second(request.bandwidth, in_bytes);
}

/// Reads the new backing file from the headers.
blockpull::Result<NewBacking> look_at_headers(const driver::PullOptions& pulled) {
  BLOCKPULL_TRY(chain, image::open_chain(pulled.path, pulled.chain));
  if (chain.layers.size() == 1) {
    return NewBacking();
  }
  const image::Layer& below = chain.layers[1];
  return NewBacking(driver::KeptLayer{below.path, image::format_name(below.image->format())});
}

ReleaseScope scope_of(const std::shared_ptr<Connection>& connection, const Target& target) {
  return release_scope(connection, target.domain.uuid, target.siblings);
}

job::JobOptions job_options(const Connection& connection, const Target& target,
                            const driver::PullOptions& pulled,
                            std::function<void(const job::Outcome&)> on_end) {
  const DiskRef disk = ref_to({target.domain, target.disk});
  job::JobOptions options;
  options.before_end = [store = connection.store(), disk, pulled](job::Outcome& outcome) {
    follow_in_xml(*store, disk, outcome, [&pulled] { return look_at_headers(pulled); });
  };
  options.on_end = tell_end(connection.sink(), disk, std::move(on_end));
  return options;
}

/// Pulls a disk that is shut off, with our own engine.
Result<std::shared_ptr<job::Job>> pull_here(const std::shared_ptr<Connection>& on,
                                            const Target& target, const BlockPullRequest& request,
                                            std::function<void(const job::Outcome&)> on_end) {
  Connection& connection = *on;
  BLOCKPULL_TRY(options, local_options(connection, target, request));
  auto place = connection.jobs().reserve({.disk = ref_to({target.domain, target.disk})});
  if (!place) {
    return connection_closed(name_of(request.call));
  }
  auto& jobs = connection.jobs();
  auto prepared =
      driver::prepare_pull(connection.engine(), options, [&jobs] { return !jobs.is_closed(); });
  if (!prepared.ok()) {
    return jobs.is_closed() ? connection_closed(name_of(request.call))
                            : pull_refused(std::move(prepared).error(), asked_of_driver(target));
  }
  BLOCKPULL_TRY(bandwidth, read_bandwidth(request));
  job::JobOptions job = job_options(connection, target, options, std::move(on_end));
  job.bandwidth = bandwidth;
  job.judge_end = judge_release(connection.engine(), (*prepared)->files(), scope_of(on, target));
  auto started = connection.jobs().start(*std::move(place), connection.engine(),
                                         std::move(prepared).value(), std::move(job));
  if (started == nullptr) {
    return connection_closed(name_of(request.call));
  }
  return started;
}

GuestPullRequest guest_request(const Connection& connection, Target target,
                               const BlockPullRequest& request) {
  GuestPullRequest asked;
  asked.function = name_of(request.call);
  asked.on = {std::move(target.domain), std::move(target.disk)};
  asked.siblings = std::move(target.siblings);
  asked.options.base = std::move(target.base);
  asked.options.require_relative = target.require_relative;
  asked.options.backing_paths = connection.options().backing_paths;
  asked.base_refusal = std::move(target.base_refusal);
  if (auto bandwidth = read_bandwidth(request); bandwidth.ok()) {
    asked.options.bandwidth = *bandwidth;
  } else {
    asked.late_refusal = std::move(bandwidth).error();
    asked.options.late_refusal = asked.late_refusal->error;
  }
  asked.options.on_error = request.on_error;
  return asked;
}

/// Refuses options that only our own engine supports, or that need an image named by its path.
Result<void> check_trailing(const Target& target, const BlockPullRequest& request) {
  if (request.trailing == driver::TrailingPolicy::kDiscard) {
    return report(ErrorKind::kUnsupported,
                  text("discarding the bytes after the image of disk '", target.disk.target,
                       "' of a domain is not supported; pull the image itself by its path"));
  }
  if (target.is_running && request.trailing == driver::TrailingPolicy::kKeep) {
    return report(ErrorKind::kUnsupported,
                  text("domain '", target.domain.name,
                       "' is running and its QEMU writes to the image file, so keeping the bytes "
                       "after the image is not supported; shut the domain off first"));
  }
  return {};
}

/// A running guest's QEMU reads the data in its own way, so a trial read would prove nothing.
Result<void> check_reading(const Target& target, const BlockPullRequest& request) {
  if (!request.reads_data || !target.is_running) {
    return {};
  }
  return report(
      ErrorKind::kUnsupported,
      text("domain '", target.domain.name,
           "' is running and its QEMU reads the data that a pull of disk '", target.disk.target,
           "' moves, so a plan that reads it is not supported; plan without reading, "
           "or shut the domain off first"));
}

/// Refuses what only a guest's QEMU can do, and what needs a process that waits.
Result<void> check_manner(const Target& target, const BlockPullRequest& request) {
  const bool may_stop = request.on_error != driver::OnError::kReport;
  if (!target.is_running && request.finisher == Finisher::kWhoeverIsNext) {
    return report(ErrorKind::kUnsupported,
                  text("domain '", target.domain.name,
                       "' is shut off and its disk is pulled by this process, which must stay "
                       "until the end, so a detached pull is not supported"));
  }
  if (!target.is_running && may_stop) {
    return report(
        ErrorKind::kUnsupported,
        text("domain '", target.domain.name,
             "' is shut off, and a pull of its disk that stops on an error is not supported; use a "
             "pull that fails, which keeps what was copied, and pull again"));
  }
  if (may_stop && request.finisher == Finisher::kWhoeverIsNext) {
    return report(ErrorKind::kUnsupported,
                  text("pull of disk '", target.disk.target,
                       "' cannot be detached and stop on an error: nobody would resume it"));
  }
  return {};
}

Result<Target> checked_target(Connection& connection, const BlockPullRequest& request,
                              bool is_plan) {
  BLOCKPULL_CHECK(check_pull_flags(request));
  BLOCKPULL_TRY(target, find_target(connection, request, is_plan));
  BLOCKPULL_CHECK(check_trailing(target, request));
  BLOCKPULL_CHECK(check_reading(target, request));
  if (!is_plan) {
    BLOCKPULL_CHECK(check_manner(target, request));
  }
  return target;
}

Result<TimedPlan> plan_here(const std::shared_ptr<Connection>& connection, const Target& target,
                            const BlockPullRequest& request, const WalkWatch& watch) {
  BLOCKPULL_TRY(options, local_options(*connection, target, request));
  auto plan = driver::plan_pull(connection->engine(), options, watch);
  if (!plan.ok()) {
    return pull_refused(std::move(plan).error(), asked_of_driver(target));
  }
  keep_needed_layers(scope_of(connection, target), options.path, *plan);
  BLOCKPULL_TRY(bandwidth, read_bandwidth(request));
  return timed(std::move(plan).value(), bandwidth, [&target](Error error) {
    return pull_refused(std::move(error), asked_of_driver(target));
  });
}

/// The plan with its sizes. The first refusal is the job that the disk already has.
Result<TimedPlan> measured(const driver::qemu::GuestPlan& plan, const GuestPullRequest& asked,
                           const ReleaseScope& scope, const std::optional<Failure>& busy,
                           const WalkWatch& watch) {
  BLOCKPULL_TRY(sized, lifted(driver::qemu::measure(plan, watch), &plain));
  keep_needed_layers(scope, plan.stream.path, sized);
  TimedPlan told = timed(std::move(sized), asked.options.bandwidth, [&asked](Error error) {
    return refused_in_guest(std::move(error), asked);
  });
  if (busy) {
    auto& refusals = told.refusals;
    const auto same = std::find_if(refusals.begin(), refusals.end(), [](const Failure& any) {
      return any.error.kind == ErrorKind::kJobActive;
    });
    if (same == refusals.end()) {
      refusals.insert(refusals.begin(), *busy);
    } else {
      std::rotate(refusals.begin(), same, std::next(same));
    }
  }
  return told;
}

}  // namespace

void block_pull(const std::shared_ptr<Connection>& connection, const BlockPullRequest& request,
                std::function<void(const job::Outcome&)> on_end,
                Answer<std::shared_ptr<job::Job>> done) {
  auto target = checked_target(*connection, request, false);
  if (!target.ok()) {
    done(std::move(target).error());
    return;
  }
  if (!target->is_running) {
    done(pull_here(connection, *target, request, std::move(on_end)));
    return;
  }
  GuestPullRequest asked = guest_request(*connection, std::move(target).value(), request);
  asked.on_end = std::move(on_end);
  asked.start = request.start;
  pull_in_guest(connection, std::move(asked), std::move(done));
}

void plan_block_pull(const std::shared_ptr<Connection>& connection, const BlockPullRequest& request,
                     Answer<PlanReading> done) {
  auto target = checked_target(*connection, request, true);
  if (!target.ok()) {
    done(std::move(target).error());
    return;
  }
  if (!target->is_running) {
    done(PlanReading(
        [connection, request, target = std::move(target).value()](const WalkWatch& watch) {
          return plan_here(connection, target, request, watch);
        }));
    return;
  }
  const auto busy = target->busy;
  const GuestPullRequest asked = guest_request(*connection, std::move(target).value(), request);
  ReleaseScope scope = release_scope(connection, asked.on.domain.uuid, asked.siblings);
  scope.is_in_guest = true;
  plan_in_guest(connection, asked,
                [scope, asked, busy, done = std::move(done)](Result<driver::qemu::GuestPlan> plan) {
                  if (!plan.ok()) {
                    done(busy ? *busy : std::move(plan).error());
                    return;
                  }
                  done(PlanReading([scope, asked, busy, plan = std::move(plan).value()](
                                       const WalkWatch& watch) -> Result<TimedPlan> {
                    return measured(plan, asked, scope, busy, watch);
                  }));
                });
}

}  // namespace blockpull::virt::embed
