// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/counted_clusters.h"

#include <chrono>
#include <thread>

#include "core/base/text.h"
#include "core/image/chain.h"
#include "core/image/qcow2/allocator.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::driver {
namespace {

/// The guest may free a cluster between our look at the tables and that at the counts.
constexpr int kLooks = 3;
constexpr std::chrono::milliseconds kPause{20};

/// Whatever else is wrong, or cannot be read, is said by others.
bool shows_uncounted(const SeenFile& file, std::string& what) {
  auto chain = image::open_listed({{file.path, image::Format::kQcow2}});
  if (!chain.ok() || chain->layers.front().file->id() != file.id) {
    return false;
  }
  image::Qcow2Image& image = *chain->active_qcow2();
  // One that is dirty is counted anew by the next QEMU that opens it.
  if ((image.header().incompatible & image::qcow2::incompatible::kDirty) != 0) {
    return false;
  }
  const auto judged = image::qcow2::Allocator::open(image);
  if (judged.ok() || judged.error().kind != ErrorKind::kImageCorrupt) {
    return false;
  }
  what = judged.error().message;
  return true;
}

}  // namespace

Result<void> check_counted(const RunState& state, const BlockNode& top) {
  if (state.migration.empty() || !top.seen || top.driver != "qcow2") {
    return {};
  }
  std::string what;
  for (int look = 0; look < kLooks; ++look) {
    if (look > 0) {
      std::this_thread::sleep_for(kPause);
    }
    if (!shows_uncounted(*top.seen, what)) {
      return {};
    }
  }
  return make_error(ErrorKind::kImageCorrupt,
                    text(what,
                         "; a pull that ran while the guest was migrated or saved may have "
                         "left that, so shut it off and run 'qemu-img check -r all'"))
      .with_path(top.seen->path);
}

}  // namespace blockpull::driver
