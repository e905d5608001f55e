// SPDX-License-Identifier: Apache-2.0
//
// What a pull has released: the files that its image no longer needs and that nobody known needs.
// Known are the domains of the connection, running or shut off, the chains that this process has
// open, and the folders of siblings that the caller names.
//
//     ends ─▶ wait ─┬─▶ look at domains at rest ─▶ ask guests ─▶ read what they said ─▶ each end,
//                   │        blocking               4 s at most        blocking         in its turn
//                   └─ those of one connection that wait are judged by one look
//
// One look at a time in this process, and each begins when the pulls that it judges have ended. So
// of two that are pulled over one base the first finds the other's chain, or its place among the
// open ones, and the later one finds nobody: just one of them releases the base.
//
// A chain that cannot be read, and a guest that does not answer, may need any file: then nothing is
// released, and a warning says whose it is.
//
// Thread rule: any thread; what judge_release() gives runs on the engine's thread.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/image/chain.h"
#include "driver/chain_file.h"
#include "driver/pull.h"
#include "job/job.h"
#include "virt/session/connection.h"

namespace blockpull::virt {

/// Where it is looked for who needs a file.
struct ReleaseScope {
  /// Absent for a bare image.
  std::shared_ptr<Connection> connection;
  /// Of the image's domain.
  std::string uuid;
  /// Its chain is named as the domain's QEMU names it.
  bool is_in_guest = false;
  /// Folders, and how the images in them are opened.
  std::vector<std::string> siblings;
  image::ChainOptions sibling_options;
};

/// Of a disk of a connection's domain.
[[nodiscard]] ReleaseScope release_scope(const std::shared_ptr<Connection>& connection,
                                         const std::string& uuid,
                                         const std::vector<std::string>& siblings);

/// For JobOptions::judge_end. `chain` is that of the image before its pull, top first.
[[nodiscard]] job::EndJudge judge_release(job::Engine& engine, std::vector<driver::ChainFile> chain,
                                          const ReleaseScope& scope);

/// The same for a plan, which asks no guest and no job. Blocks for file operations.
void judge_planned(const ReleaseScope& scope, const std::string& path, driver::PullPlan& plan);

}  // namespace blockpull::virt
