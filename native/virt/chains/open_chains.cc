// SPDX-License-Identifier: Apache-2.0

#include "virt/chains/open_chains.h"

#include <algorithm>
#include <utility>

namespace blockpull::virt {
namespace {

bool has_file(const std::vector<driver::ChainFile>& chain, const driver::ChainFile& file) {
  return std::any_of(chain.begin(), chain.end(), [&file](const driver::ChainFile& layer) {
    return driver::may_be_same_file(layer, file);
  });
}

}  // namespace

OpenChains::Entry::~Entry() {
  std::vector<driver::ChainFile> none;
  leave(none);
}

void OpenChains::Entry::leave(std::vector<driver::ChainFile>& files) {
  const std::lock_guard lock(owner_->mutex_);
  owner_->open_.erase(id_);
  std::erase_if(files, [this](const driver::ChainFile& file) {
    return std::any_of(owner_->open_.begin(), owner_->open_.end(),
                       [&file](const auto& entry) { return has_file(entry.second.files, file); });
  });
}

const std::shared_ptr<OpenChains>& OpenChains::of_process() {
  static const auto* const chains = new std::shared_ptr<OpenChains>(std::make_shared<OpenChains>());
  return *chains;
}

void OpenChains::look() {
  std::map<std::uint64_t, Chain> unseen;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, chain] : open_) {
      if (!std::exchange(chain.is_looked_at, true)) {
        unseen.emplace(id, chain);
      }
    }
  }
  for (auto& [id, chain] : unseen) {
    driver::find_by_name(chain.files);
  }
  const std::lock_guard lock(mutex_);
  for (auto& [id, chain] : unseen) {
    if (const auto open = open_.find(id); open != open_.end()) {
      open->second = std::move(chain);
    }
  }
}

std::shared_ptr<OpenChains::Entry> OpenChains::add(std::vector<driver::ChainFile> files) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t id = next_id_++;
  open_.emplace(id, Chain{std::move(files), false});
  return std::make_shared<Entry>(shared_from_this(), id);
}

}  // namespace blockpull::virt
