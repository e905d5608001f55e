// SPDX-License-Identifier: Apache-2.0

#include "job/registry.h"

#include <utility>

#include "core/base/text.h"

namespace blockpull::job {
namespace {

std::string key_of(io::FileId disk) {
  return text("file ", disk.device, ":", disk.inode);
}

std::string key_of(const std::string& monitor, const std::string& node) {
  return text("node ", node, " of ", monitor);
}

Error has_job(const std::string& path) {
  return make_error(
             ErrorKind::kJobActive,
             text("image '", path, "' already has a job in this process; wait for it or abort it"))
      .with_path(path);
}

}  // namespace

Registry::Claim& Registry::Claim::operator=(Claim&& other) noexcept {
  if (this != &other) {
    release();
    registry_ = std::move(other.registry_);
    disk_ = std::move(other.disk_);
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

std::optional<Registry::Claim> Registry::try_claim(std::string disk) {
  const std::lock_guard lock(mutex_);
  if (!claims_.try_emplace(disk).second) {
    return std::nullopt;
  }
  return Claim(shared_from_this(), std::move(disk));
}

std::shared_ptr<Job> Registry::find(const std::string& disk) {
  const std::lock_guard lock(mutex_);
  const auto found = claims_.find(disk);
  return found == claims_.end() ? nullptr : found->second.lock();
}

Result<Registry::Claim> Registry::claim(io::FileId disk, const std::string& path) {
  auto claim = try_claim(key_of(disk));
  if (!claim) {
    return has_job(path);
  }
  return *std::move(claim);
}

std::optional<Error> Registry::claim_refusal(io::FileId disk, const std::string& path) {
  const std::lock_guard lock(mutex_);
  return claims_.contains(key_of(disk)) ? std::optional(has_job(path)) : std::nullopt;
}

Result<Registry::Claim> Registry::claim_in_guest(const std::string& monitor,
                                                 const std::string& node) {
  auto claim = try_claim(key_of(monitor, node));
  if (!claim) {
    return make_error(ErrorKind::kJobActive, text("node '", node, "' of QEMU behind '", monitor,
                                                  "' already has a job that this process tracks"));
  }
  return *std::move(claim);
}

std::shared_ptr<Job> Registry::find(io::FileId disk) {
  return find(key_of(disk));
}

std::shared_ptr<Job> Registry::find_in_guest(const std::string& monitor, const std::string& node) {
  return find(key_of(monitor, node));
}

}  // namespace blockpull::job
