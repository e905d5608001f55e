// SPDX-License-Identifier: Apache-2.0
//
// The chains that this process has open, for all its connections: those of its pulls, including
// pulls under running guests, and those of images that it hashes.
//
//     add ─▶ … ─▶ leave: files that no other chain here has are no longer needed here
//
// If two pulls share a base, the first to leave finds the chain of the second, and the second finds
// none. Exactly one of them, the later one, releases the base.
//
// A guest's chain is added by name only, on a thread that must not block; look() finds its files.
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
  /// An open chain; its destruction removes it from the list if leave() has not.
  class Entry {
   public:
    Entry(std::shared_ptr<OpenChains> owner, std::uint64_t id)
        : owner_(std::move(owner)), id_(id) {}
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry();

    /// Removes this chain from the list, and from `files` everything that another open chain has.
    void leave(std::vector<driver::ChainFile>& files);

   private:
    const std::shared_ptr<OpenChains> owner_;
    const std::uint64_t id_;
  };

  /// The list of this process.
  [[nodiscard]] static const std::shared_ptr<OpenChains>& of_process();

  [[nodiscard]] std::shared_ptr<Entry> add(std::vector<driver::ChainFile> files);

  /// Looks up the files that were added by name only.
  void look();

 private:
  struct Chain {
    std::vector<driver::ChainFile> files;
    bool is_looked_at = false;
  };

  /// Guards everything below.
  std::mutex mutex_;
  std::map<std::uint64_t, Chain> open_;
  std::uint64_t next_id_ = 1;
};

}  // namespace blockpull::virt
