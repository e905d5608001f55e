// SPDX-License-Identifier: Apache-2.0
//
// First what libvirt's public entry point refuses, then its driver's checks, then the image's own,
// and the bandwidth last: that is the order in which libvirt's driver meets them.

#include "virt/block_pull.h"

#include <string_view>
#include <utility>

#include "core/base/text.h"
#include "virt/base_name.h"
#include "virt/block_jobs.h"
#include "virt/checks.h"

namespace blockpull::virt {
namespace {

constexpr CallNames kPull{"virDomainBlockPull", "qemuDomainBlockPull"};
constexpr CallNames kRebase{"virDomainBlockRebase", "qemuDomainBlockRebase"};

constexpr Flags kRebaseFlags = flag::kRebaseShallow | flag::kRebaseReuseExt | flag::kRebaseCopyRaw |
                               flag::kRebaseCopy | flag::kRebaseRelative | flag::kRebaseCopyDev |
                               flag::kRebaseBandwidthBytes;

static_assert(flag::kPullBandwidthBytes == flag::kRebaseBandwidthBytes);

/// A disk that a pull may be made on, and how.
struct Target {
  Domain domain;
  Disk disk;
  driver::PullOptions options;
};

const CallNames& names_of(const BlockPullRequest& request) {
  return request.call == PullCall::kBlockRebase ? kRebase : kPull;
}

/// What has been said about a pull before any domain is looked for.
Result<void> check_pull_call(const Connection& connection, const BlockPullRequest& request,
                             bool is_plan) {
  const bool is_rebase = request.call == PullCall::kBlockRebase;
  const CallNames& names = names_of(request);
  BLOCKPULL_CHECK(connection.check_open(names.entry));
  // A plan changes nothing, so it is served where a pull is not.
  BLOCKPULL_CHECK(check_writable(connection.is_read_only() && !is_plan, names.entry));
  if (is_rebase) {
    BLOCKPULL_CHECK(check_rebase_flags(request.flags, request.base.has_value()));
  }
  BLOCKPULL_CHECK(check_flags(request.flags, is_rebase ? kRebaseFlags : flag::kPullBandwidthBytes,
                              names.driver));
  if ((request.flags & flag::kRebaseCopy) != 0) {
    return report(ErrorKind::kUnsupported, ErrorCode::kNoSupport, ErrorDomain::kPublic,
                  "virDomainBlockRebase with VIR_DOMAIN_BLOCK_REBASE_COPY");
  }
  return {};
}

Result<void> check_not_running(Connection& connection, const Domain& domain) {
  BLOCKPULL_TRY(state, connection.state_of(domain));
  if (state == DomainState::kRunning) {
    return report(ErrorKind::kUnsupported,
                  text("domain '", domain.name, "' is running, since '",
                       connection.store()->monitor_path(domain.name),
                       "' answers; a pull under a running guest is not supported, so shut it down "
                       "first"));
  }
  return {};
}

/// The checks from the domain to the base, in libvirt's order.
Result<Target> find_target(Connection& connection, const BlockPullRequest& request) {
  Target target;
  BLOCKPULL_TRY(domain, connection.domain_of(request.uuid));
  target.domain = std::move(domain);
  target.options.require_relative = (request.flags & flag::kRebaseRelative) != 0;
  if (target.options.require_relative && !request.base) {
    return report(ErrorKind::kInvalidArgument,
                  "flag VIR_DOMAIN_BLOCK_REBASE_RELATIVE is valid only with non-null base");
  }
  BLOCKPULL_CHECK(check_not_running(connection, target.domain));
  BLOCKPULL_TRY(disk, find_disk(target.domain, request.disk));
  target.disk = std::move(disk);
  if (connection.jobs().find(target.domain.uuid, target.disk.target) ||
      job_on_image(connection, target.disk.source) != nullptr) {
    return job_active_on(target.disk.target);
  }
  BLOCKPULL_CHECK(check_disk_takes_jobs(target.disk));
  if (request.base) {
    BLOCKPULL_TRY(base, parse_base(*request.base, target.disk));
    target.options.base = std::move(base);
  }
  BLOCKPULL_TRY(format, lifted(image::parse_format(target.disk.format), &reported));
  target.options.path = target.disk.source;
  target.options.chain.format = format;
  target.options.chain.backing_paths = connection.options().backing_paths;
  return target;
}

/// An error of the driver's in the words of a connection.
Failure refused(Error error, const Target& target) {
  if (error.kind == ErrorKind::kJobActive) {
    return job_active_on(target.disk.target);
  }
  if (error.kind == ErrorKind::kNoBase && target.options.base) {
    return no_such_base(*target.options.base, target.disk);
  }
  // Without a path: nothing is wrong with a file, but with what was asked.
  if (error.kind == ErrorKind::kUnsupported && target.options.require_relative &&
      error.path.empty()) {
    return report(error.kind, ErrorCode::kOperationInvalid, ErrorDomain::kQemu,
                  "can't keep relative backing relationship");
  }
  return reported(std::move(error));
}

/// 82 and then 1: both come after everything that can be wrong with the disk.
Result<std::uint64_t> read_bandwidth(const BlockPullRequest& request) {
  const bool in_bytes = (request.flags & flag::kPullBandwidthBytes) != 0;
  BLOCKPULL_CHECK(check_bandwidth(request.bandwidth, in_bytes));
  return to_bytes_per_second(request.bandwidth, in_bytes);
}

/// After a completed pull: the XML follows, or a warning says why not.
void update_xml(DomainStore& store, const Target& target, job::Outcome& outcome) {
  if (outcome.state != job::State::kCompleted) {
    return;
  }
  const auto update = [&]() -> blockpull::Result<void> {
    BLOCKPULL_TRY(chain, image::open_chain(target.options.path, target.options.chain));
    DiskBacking backing{target.disk.target, target.disk.source, std::nullopt};
    if (chain.layers.size() > 1) {
      const image::Layer& below = chain.layers[1];
      backing.backing = BackingLayer{below.path, image::format_name(below.image->format())};
    }
    return store.backing_changed(target.domain.name, backing);
  };
  if (auto updated = update(); !updated.ok()) {
    outcome.warnings.push_back(text("domain XML of '", target.domain.name,
                                    "' was not updated: ", updated.error().message));
  }
}

BlockJobEvent event_of(const Target& target, const job::Outcome& outcome) {
  BlockJobEvent event;
  event.domain_name = target.domain.name;
  event.domain_uuid = target.domain.uuid;
  event.target = target.disk.target;
  event.path = target.disk.source;
  event.status = status_of(outcome.state);
  if (outcome.error) {
    event.error = plain(*outcome.error);
  }
  return event;
}

job::JobOptions job_options(const Connection& connection, const Target& target,
                            std::function<void(const job::Outcome&)> on_end) {
  job::JobOptions options;
  options.before_end = [store = connection.store(), target](job::Outcome& outcome) {
    update_xml(*store, target, outcome);
  };
  options.on_end = [sink = connection.sink(), target,
                    told = std::move(on_end)](const job::Outcome& outcome) {
    sink(event_of(target, outcome));
    if (told) {
      told(outcome);
    }
  };
  return options;
}

}  // namespace

Result<std::shared_ptr<job::Job>> block_pull(Connection& connection,
                                             const BlockPullRequest& request,
                                             std::function<void(const job::Outcome&)> on_end) {
  BLOCKPULL_CHECK(check_pull_call(connection, request, false));
  BLOCKPULL_TRY(target, find_target(connection, request));
  auto place =
      connection.jobs().reserve({target.domain.uuid, target.disk.target, target.disk.source});
  if (!place) {
    return std::move(connection.check_open(names_of(request).entry)).error();
  }
  auto prepared = driver::prepare_pull(connection.engine(), target.options);
  if (!prepared.ok()) {
    return refused(std::move(prepared).error(), target);
  }
  BLOCKPULL_TRY(bandwidth, read_bandwidth(request));
  job::JobOptions options = job_options(connection, target, std::move(on_end));
  options.bandwidth = bandwidth;
  auto job = connection.jobs().start(*std::move(place), connection.engine(),
                                     std::move(prepared).value(), std::move(options));
  if (job == nullptr) {
    return std::move(connection.check_open(names_of(request).entry)).error();
  }
  return job;
}

Result<TimedPlan> plan_block_pull(Connection& connection, const BlockPullRequest& request) {
  BLOCKPULL_CHECK(check_pull_call(connection, request, true));
  BLOCKPULL_TRY(target, find_target(connection, request));
  auto plan = driver::plan_pull(connection.engine(), target.options);
  if (!plan.ok()) {
    return refused(std::move(plan).error(), target);
  }
  BLOCKPULL_TRY(bandwidth, read_bandwidth(request));
  return timed(std::move(plan).value(), bandwidth);
}

}  // namespace blockpull::virt
