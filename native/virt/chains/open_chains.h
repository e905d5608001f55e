// SPDX-License-Identifier: Apache-2.0
//
// The chains that this process has open, whichever connection they belong to: those of its pulls,
// running guests' too, and of the images that it digests.
//
//     add ─▶ … ─▶ leave: what nobody else has open is no longer needed here
//
// Of two pulls over one base, the first to leave finds the other, and the second finds nobody: so
// just one of them, the later one, releases the base.
//
// A guest's chain is added by name alone, on a thread that must not block; look() finds its files.
//
// Thread rule: any thread; look() blocks. No file operation happens under the lock.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "driver/chain_file.h"

namespace blockpull::virt {

class OpenChains : public std::enable_shared_from_this<OpenChains> {
 public:
  /// A chain that is open; it leaves at the latest when this goes.
  class Entry {
   public:
    Entry(std::shared_ptr<OpenChains> owner, std::uint64_t id)
        : owner_(std::move(owner)), id_(id) {}
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry();

    /// Takes the chain off the list, and those of `files` away that another one has.
    void leave(std::vector<driver::ChainFile>& files);

   private:
    const std::shared_ptr<OpenChains> owner_;
    const std::uint64_t id_;
  };

  /// Those of this process.
  [[nodiscard]] static const std::shared_ptr<OpenChains>& of_process();

  [[nodiscard]] std::shared_ptr<Entry> add(std::vector<driver::ChainFile> files);

  /// Finds the files that were added by name alone.
  void look();

 private:
  struct Chain {
    std::vector<driver::ChainFile> files;
    bool is_looked_at = false;
  };

  /// Guards what follows.
  std::mutex mutex_;
  std::map<std::uint64_t, Chain> open_;
  std::uint64_t next_id_ = 1;
};

}  // namespace blockpull::virt
