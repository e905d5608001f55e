// SPDX-License-Identifier: Apache-2.0
//
// The calls on bare image files: no connection, no domain, no libvirt words. A thin layer over
// driver and core. Errors keep their plain sentences. `guest_reads.h` has digests and
// comparisons.
//
// Thread rule: any thread. All of them block for file operations.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/walk_watch.h"
#include "core/image/check.h"
#include "core/image/create.h"
#include "core/image/info.h"
#include "core/image/inspect.h"
#include "driver/pull.h"
#include "virt/calls/image_request.h"
#include "virt/session/live_jobs.h"
#include "virt/session/timed_plan.h"
#include "virt/words/error_map.h"

namespace blockpull::virt {

struct ImagePullRequest {
  ImageRequest image;
  std::optional<std::string> base;
  /// 0 for no limit.
  std::uint64_t bandwidth = 0;
  /// Folders with images that may need what would be released.
  std::vector<std::string> siblings;
  driver::TrailingPolicy trailing = driver::TrailingPolicy::kRefuse;
  /// For a plan: also read the data that the pull would move.
  bool reads_data = false;
};

struct CreateRequest {
  std::string path;
  /// Bytes; absent: the backing file's.
  std::optional<std::uint64_t> size;
  std::optional<std::string> backing_file;
  std::optional<std::string> backing_format;
  std::uint64_t cluster_size = 0;
  std::uint32_t version = 0;
};

/// Returns once the job runs. The job is among `jobs` until it ends. kClosed if they are closed.
[[nodiscard]] Result<std::shared_ptr<job::Job>> pull_image(
    job::Engine& engine, LiveJobs& jobs, const ImagePullRequest& request,
    std::function<void(const job::Outcome&)> on_end);

/// kCancelled if `watch` says that nobody wants the result any more.
[[nodiscard]] Result<TimedPlan> plan_image(job::Engine& engine, const ImagePullRequest& request,
                                           const WalkWatch& watch);

/// The layers, the active one first. kCancelled as for plan_image().
[[nodiscard]] Result<std::vector<image::LayerInfo>> inspect_chain(const ImageRequest& request,
                                                                  const WalkWatch& watch);

/// What the header says.
[[nodiscard]] Result<image::ImageInfo> image_info(const ImageFileRequest& request);

struct ImageCheck {
  /// After the repair, if there was one.
  image::qcow2::CheckReport report;
  /// By how many the counts have fallen; absent if no repair was requested.
  struct Repaired {
    std::uint64_t errors = 0;
    std::uint64_t leaks = 0;
  };
  std::optional<Repaired> repaired;
};

/// See image::check_image() and image::repair_image(). kCancelled as for plan_image().
[[nodiscard]] Result<ImageCheck> check_image(const ImageCheckRequest& request,
                                             const WalkWatch& watch);

[[nodiscard]] Result<void> create_image(const CreateRequest& request);

}  // namespace blockpull::virt
