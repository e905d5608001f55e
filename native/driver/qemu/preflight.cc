// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/preflight.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/text.h"
#include "core/image/backing_name.h"
#include "driver/qemu/counted_clusters.h"
#include "driver/qemu/flush.h"
#include "driver/qemu/guest_files.h"
#include "driver/qemu/job_id.h"
#include "driver/qemu/job_poll.h"
#include "driver/qemu/orphaned_job.h"

namespace blockpull::driver::qemu {
namespace {

/// QEMU before 3.1 cannot hold a job at pending, so its result cannot be made durable.
Result<void> check_commands(const qmp::Peer& peer) {
  if (peer.offers("block-stream") && peer.offers("job-finalize")) {
    return {};
  }
  return make_error(ErrorKind::kUnsupported,
                    text("QEMU ", peer.version.major, ".", peer.version.minor,
                         " cannot hold a job until its data is durable ('job-finalize' is "
                         "missing), so a pull under its guest is not supported; QEMU 4.2 can"));
}

/// The plan of our job that QEMU has already, if it has one; kJobActive if it cannot be taken over.
Result<std::optional<StreamPlan>> plan_of_own_job(const GuestView& view, const StreamPlan& plan,
                                                  const qmp::BlockJob* job) {
  if (job == nullptr) {
    return std::optional<StreamPlan>();
  }
  const auto path_of = [](const std::optional<KeptLayer>& base) {
    return base ? base->path : std::string();
  };
  auto there = plan_of_job(view, *job);
  if (!there || path_of(there->base) != path_of(plan.base)) {
    return make_error(ErrorKind::kJobActive,
                      text("job '", plan.job_id,
                           "', which an earlier process started, keeps another base or has already "
                           "concluded; wait for its end"));
  }
  there->disk_name = plan.disk_name;
  there->on_error = plan.on_error;
  return there;
}

/// Whether QEMU may write to the disk's images now.
Result<void> check_images(const GuestView& view, const BlockNode& top) {
  BLOCKPULL_CHECK(check_may_write(view.state));
  if (!top.is_inactive) {
    return {};
  }
  return make_error(ErrorKind::kGuestBusy,
                    text("image '", top.filename,
                         "' is inactive in QEMU, which may not write to it; try again when the "
                         "guest runs here"))
      .with_path(top.filename);
}

/// If no device stands on a disk, an export may move it into an I/O thread as soon as a client
/// connects. QEMU 10.0 then ends on a job of that disk. QEMU does not say which thread an export is
/// in.
Result<void> check_exports(const GuestView& view, const std::vector<std::size_t>& chain) {
  for (const std::string& name : view.exported_by_threads) {
    const auto node = view.graph.find_device(name);
    const bool is_ours = node && std::find(chain.begin(), chain.end(), *node) != chain.end();
    if (is_ours && view.graph.device_on(chain.front()) == nullptr) {
      return make_error(ErrorKind::kUnsupported,
                        text("node '", name,
                             "' is exported by a QEMU that has I/O threads, and a job on an export "
                             "in an I/O thread crashes QEMU; remove the export first "
                             "('block-export-del'), or run QEMU without I/O threads"));
    }
  }
  return {};
}

/// A backing file is refused unless it is known to lie in an allowed folder.
Result<void> check_policy(const std::vector<BlockNode>& layers,
                          const std::optional<std::vector<std::string>>& folders) {
  for (std::size_t i = 1; folders && i < layers.size(); ++i) {
    const BlockNode& layer = layers[i];
    if (const std::string why = why_unseen(layer); !why.empty()) {
      return make_error(ErrorKind::kPolicy,
                        text("backing file '", layer.filename,
                             "' cannot be shown to lie in an allowed folder: ", why))
          .with_path(layer.filename);
    }
    BLOCKPULL_CHECK(image::check_folder_policy(layer.seen->path, *folders));
  }
  return {};
}

/// Whether QEMU refuses our job because of this one. QEMU allows no second job on an image or on
/// its job's filter, which may lie directly above the base. A QEMU that does not say what its jobs
/// work on has named each job after its disk's device. A concluded job works on nothing.
bool is_in_the_way(const qmp::BlockJob& job, const BlockGraph& graph, const StreamPlan& plan,
                   const std::vector<std::size_t>& chain) {
  const auto base = chain.begin() + static_cast<std::ptrdiff_t>(plan.base_index);
  return job.id != plan.job_id && job.status != qmp::JobStatus::kConcluded &&
         (job.id == graph.disk_name(chain.front()) ||
          (base != chain.end() && graph.is_job_over(job.id, *base)) ||
          std::any_of(chain.begin(), base,
                      [&](std::size_t node) { return graph.is_job_on(job.id, node); }));
}

Result<void> check_other_jobs(const GuestView& view, const StreamPlan& plan,
                              const std::vector<std::size_t>& chain) {
  for (const qmp::BlockJob& job : view.jobs) {
    if (plan.has_work && is_in_the_way(job, view.graph, plan, chain)) {
      return make_error(ErrorKind::kJobActive,
                        text("job '", job.id, "' (", job.type, ") works on '", plan.path,
                             "' or on a layer that would drop out, and "
                             "QEMU allows no second job there; wait for its end"));
    }
  }
  return {};
}

/// Beside a mirror a stream's filter ends QEMU, as a flush's filter does (guest_view.h). That
/// happens even if QEMU would then refuse the stream.
Result<void> check_mirror(const GuestView& view, const StreamPlan& plan,
                          const std::vector<std::size_t>& chain) {
  for (const qmp::BlockJob& job : view.jobs) {
    if (job.type == "mirror" && is_in_the_way(job, view.graph, plan, chain)) {
      return make_error(ErrorKind::kJobActive,
                        text("job '", job.id, "' mirrors '", plan.path,
                             "', and nothing can be pulled beside a mirror; wait for its end"));
    }
  }
  return {};
}

}  // namespace

Result<Preflight> preflight(const GuestView& view, GuestPullOptions options,
                            const FindTrackedJob& find_tracked_job) {
  Preflight found;
  for (const auto& allowed : {check_commands(view.peer), check_can_flush(view.peer)}) {
    if (!allowed.ok()) {
      found.refusals.push_back(allowed.error());
    }
  }
  // A QEMU that is too old may not even list its disks.
  const auto failed = [&found](const Error& error) {
    return found.refusals.empty() ? error : found.refusals.front();
  };
  const auto top = find_disk_node(view.graph, options.disk);
  if (!top.ok()) {
    return failed(top.error());
  }
  if (options.disk.path.empty()) {
    options.disk.name = view.graph.disk_name(*top);
  }
  auto judged = plan_stream(view.graph, *top, options, view.peer.version);
  if (!judged.ok()) {
    return failed(judged.error());
  }
  found.top = *top;
  found.plan = std::move(judged->plan);
  found.plan.has_run_state = offers_run_state(view.peer);
  found.plan.state = view.state;
  const qmp::BlockJob* const own_job = find_own_job(view.jobs, found.plan.node);
  found.plan.job_id = own_job != nullptr
                          ? own_job->id
                          : job_id_for(found.plan.kind, found.plan.disk_name, found.plan.node);
  const BlockNode& active = view.graph.nodes()[*top];
  const std::vector<std::size_t> chain = view.graph.chain_from(*top);
  for (const auto& allowed :
       {check_images(view, active), check_exports(view, chain),
        check_mirror(view, found.plan, chain), check_counted(view.state, active),
        check_policy(found.plan.layers, options.backing_paths)}) {
    if (!allowed.ok()) {
      found.refusals.push_back(allowed.error());
    }
  }
  std::move(judged->refusals.begin(), judged->refusals.end(), std::back_inserter(found.refusals));
  const std::string& id = found.plan.job_id;
  TrackedJob tracked_job = find_tracked_job(found.plan.node);
  found.tracked_job = std::move(tracked_job.joinable);
  if (tracked_job.is_there && found.tracked_job == nullptr) {
    found.refusals.push_back(make_error(ErrorKind::kJobActive,
                                        text("job '", id, "' is already tracked by this process")));
  } else if (auto there = plan_of_own_job(view, found.plan, own_job); there.ok()) {
    found.there = std::move(there).value();
  } else {
    found.refusals.push_back(std::move(there).error());
  }
  if (auto free = check_other_jobs(view, found.plan, chain); !free.ok()) {
    found.other_job = std::move(free).error();
  }
  if (options.late_refusal) {
    // libvirt reports the job first.
    if (found.other_job) {
      found.refusals.push_back(*std::exchange(found.other_job, std::nullopt));
    }
    found.refusals.push_back(*std::move(options.late_refusal));
  }
  return found;
}

}  // namespace blockpull::driver::qemu
