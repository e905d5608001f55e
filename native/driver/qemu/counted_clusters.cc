// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/counted_clusters.h"

#include <chrono>
#include <thread>

#include "core/base/text.h"
#include "core/image/qcow2/allocator.h"
#include "core/image/qcow2/layout.h"
#include "driver/qemu/guest_files.h"

namespace blockpull::driver::qemu {
namespace {

/// The guest may free a cluster between our read of the tables and our read of the counts.
constexpr int kLooks = 3;
constexpr std::chrono::milliseconds kPause{20};

/// What the file shows of such clusters, or "". Other code reports all other faults and read
/// errors.
std::string uncounted_in(const BlockNode& top) {
  auto chain = open_beside_qemu({top});
  if (!chain.ok()) {
    return {};
  }
  image::Qcow2Image& image = *chain->active_qcow2();
  // The next QEMU that opens a dirty image counts its clusters again.
  if ((image.header().incompatible & image::qcow2::incompatible::kDirty) != 0) {
    return {};
  }
  const auto judged = image::qcow2::Allocator::open(image, [] { return true; });
  const bool is_uncounted = !judged.ok() && judged.error().kind == ErrorKind::kImageCorrupt;
  return is_uncounted ? judged.error().message : std::string();
}

}  // namespace

Result<void> check_counted(const RunState& state, const BlockNode& top) {
  if (state.migration.empty() || top.driver != "qcow2") {
    return {};
  }
  std::string what = uncounted_in(top);
  for (int look = 1; look < kLooks && !what.empty(); ++look) {
    std::this_thread::sleep_for(kPause);
    what = uncounted_in(top);
  }
  if (what.empty()) {
    return {};
  }
  return make_error(ErrorKind::kImageCorrupt,
                    text(what,
                         "; a pull that ran while the guest was migrated or saved may have caused "
                         "this, so shut the guest off first"))
      .with_path(top.seen->path);
}

}  // namespace blockpull::driver::qemu
