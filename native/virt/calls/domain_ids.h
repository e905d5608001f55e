// SPDX-License-Identifier: Apache-2.0
//
// libvirt numbers the running domains. Here a domain gets its number when a call first finds it
// running, and loses it when a call finds it shut off.
//
// Thread rule: any thread.

#pragma once

#include <map>
#include <mutex>
#include <string>

namespace blockpull::virt {

/// libvirt's id for a domain that does not run.
inline constexpr int kNoDomainId = -1;

class DomainIds {
 public:
  /// The id of a domain that was just looked up.
  [[nodiscard]] int found(const std::string& uuid, bool is_running) {
    const std::lock_guard lock(mutex_);
    if (!is_running) {
      ids_.erase(uuid);
      return kNoDomainId;
    }
    const auto [entry, is_new] = ids_.try_emplace(uuid, next_);
    next_ += is_new ? 1 : 0;
    return entry->second;
  }

  /// The id that the last lookup gave.
  [[nodiscard]] int known(const std::string& uuid) {
    const std::lock_guard lock(mutex_);
    const auto entry = ids_.find(uuid);
    return entry == ids_.end() ? kNoDomainId : entry->second;
  }

 private:
  /// Guards everything below.
  std::mutex mutex_;
  std::map<std::string, int> ids_;
  int next_ = 1;
};

}  // namespace blockpull::virt
