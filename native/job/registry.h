// SPDX-License-Identifier: Apache-2.0
//
// One job a disk. A disk is an inode, whatever names it has; who claims it first has it until the
// claim goes. Other processes are kept off by the image locks, not by this.
//
// Thread rule: any thread.

#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/result.h"
#include "core/io/posix_file.h"

namespace blockpull::job {

class Job;

class Registry : public std::enable_shared_from_this<Registry> {
 public:
  /// Gives the disk free when it goes.
  class Claim {
   public:
    Claim() = default;
    Claim(Claim&& other) noexcept = default;
    Claim& operator=(Claim&& other) noexcept;
    ~Claim();

    /// Lets find() answer with this job.
    void set_job(std::weak_ptr<Job> job);
    void release();

   private:
    friend class Registry;
    Claim(std::shared_ptr<Registry> registry, io::FileId disk)
        : registry_(std::move(registry)), disk_(disk) {}

    std::shared_ptr<Registry> registry_;
    io::FileId disk_;
  };

  /// kJobActive when the disk is claimed already; `path` is for the message.
  [[nodiscard]] Result<Claim> claim(io::FileId disk, const std::string& path);

  /// The job on that disk, or nullptr.
  [[nodiscard]] std::shared_ptr<Job> find(io::FileId disk);

 private:
  std::mutex mutex_;
  std::map<io::FileId, std::weak_ptr<Job>> claims_;
};

}  // namespace blockpull::job
