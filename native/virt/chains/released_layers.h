// SPDX-License-Identifier: Apache-2.0
//
// The files that a pull has released: its image no longer needs them, and neither does anybody
// known. Known are the domains of the connection, running or shut off, the chains that this process
// has open, and the folders of siblings that the caller names.
//
//     ends ─▶ wait ─┬─▶ read domains shut off ─▶ ask guests ─▶ read their answers ─▶ report each
//                   │        blocking             4 s at most       blocking           in turn
//                   └─ ends of one connection that wait share one search
//
// One search runs at a time in this process, and each begins after the pulls that it serves have
// ended. If two pulls share a base, the search of the first finds the other's chain, or its place
// among the open chains, and the search of the later one finds none. Exactly one of them releases
// the base.
//
// A chain that cannot be read, or a guest that does not answer, may need any file. Nothing is then
// released, and a warning names the owner.
//
// Thread rule: any thread; the function that judge_release() returns runs on the engine's thread.

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

/// Where to look for others that may need a file.
struct ReleaseScope {
  /// Absent for a bare image.
  std::shared_ptr<Connection> connection;
  /// UUID of the image's domain.
  std::string uuid;
  /// The chain has the names that the domain's QEMU uses.
  bool is_in_guest = false;
  /// Folders, and how to open the images in them.
  std::vector<std::string> siblings;
  image::ChainOptions sibling_options;
};

/// The scope for a disk of a connection's domain.
[[nodiscard]] ReleaseScope release_scope(const std::shared_ptr<Connection>& connection,
                                         const std::string& uuid,
                                         const std::vector<std::string>& siblings);

/// For JobOptions::judge_end. `chain` is the chain of the image before its pull, top first.
[[nodiscard]] job::EndJudge judge_release(job::Engine& engine, std::vector<driver::ChainFile> chain,
                                          const ReleaseScope& scope);

/// Takes out of `plan.released` what another chain needs, without asking guests or jobs. Blocks for
/// file operations.
void keep_needed_layers(const ReleaseScope& scope, const std::string& path, driver::PullPlan& plan);

}  // namespace blockpull::virt
