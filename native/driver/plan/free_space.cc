// SPDX-License-Identifier: Apache-2.0

#include "driver/plan/free_space.h"

#include <utility>

#include <sys/statvfs.h>

#include "core/base/text.h"

namespace blockpull::driver {
namespace {

std::uint64_t free_bytes(const std::string& path) {
  struct statvfs about {};
  return ::statvfs(path.c_str(), &about) == 0 ? about.f_bavail * about.f_frsize : 0;
}

}  // namespace

void check_space(PullPlan& plan, const std::string& path) {
  const std::uint64_t free = free_bytes(path);
  plan.bytes_free = free;
  if (plan.bytes_to_allocate > free) {
    Error no_space = make_error(ErrorKind::kNoSpace,
                                text("image '", path, "' would grow by ", plan.bytes_to_allocate,
                                     " bytes; its filesystem has ", free, " free"));
    no_space.bytes_needed = plan.bytes_to_allocate;
    plan.refusals.push_back(std::move(no_space).with_path(path));
  }
}

}  // namespace blockpull::driver
