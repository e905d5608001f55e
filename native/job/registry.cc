// SPDX-License-Identifier: Apache-2.0

#include "job/registry.h"

#include <utility>

#include "core/base/text.h"

namespace blockpull::job {

Registry::Claim& Registry::Claim::operator=(Claim&& other) noexcept {
  if (this != &other) {
    release();
    registry_ = std::move(other.registry_);
    disk_ = other.disk_;
  }
  return *this;
}

Registry::Claim::~Claim() {
  release();
}

void Registry::Claim::set_job(std::weak_ptr<Job> job) {
  const std::lock_guard lock(registry_->mutex_);
  registry_->claims_[disk_] = std::move(job);
}

void Registry::Claim::release() {
  if (registry_ == nullptr) {
    return;
  }
  {
    const std::lock_guard lock(registry_->mutex_);
    registry_->claims_.erase(disk_);
  }
  registry_.reset();
}

Result<Registry::Claim> Registry::claim(io::FileId disk, const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (!claims_.try_emplace(disk).second) {
    return make_error(ErrorKind::kJobActive,
                      text("image '", path,
                           "' already has a job in this process; wait for it or abort it"))
        .with_path(path);
  }
  return Claim(shared_from_this(), disk);
}

std::shared_ptr<Job> Registry::find(io::FileId disk) {
  const std::lock_guard lock(mutex_);
  const auto found = claims_.find(disk);
  return found == claims_.end() ? nullptr : found->second.lock();
}

}  // namespace blockpull::job
