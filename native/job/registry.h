// SPDX-License-Identifier: Apache-2.0
//
// One job a disk. A disk that is shut off is an inode, whatever names it has; that of a running
// guest is a node of its QEMU. The first to claim it has it until the claim goes. The image locks,
// and QEMU, keep other processes off, not this.
//
// Thread rule: any thread.

#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
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
    Claim(std::shared_ptr<Registry> registry, std::string disk)
        : registry_(std::move(registry)), disk_(std::move(disk)) {}

    std::shared_ptr<Registry> registry_;
    std::string disk_;
  };

  /// kJobActive when the disk is claimed already; `path` is for the message.
  [[nodiscard]] Result<Claim> claim(io::FileId disk, const std::string& path);
  [[nodiscard]] Result<Claim> claim_in_guest(const std::string& monitor, const std::string& node);

  /// What claim() would refuse now, if it would.
  [[nodiscard]] std::optional<Error> claim_refusal(io::FileId disk, const std::string& path);

  /// The job on that disk, or nullptr.
  [[nodiscard]] std::shared_ptr<Job> find(io::FileId disk);
  [[nodiscard]] std::shared_ptr<Job> find_in_guest(const std::string& monitor,
                                                   const std::string& node);

 private:
  [[nodiscard]] std::optional<Claim> try_claim(std::string disk);
  [[nodiscard]] std::shared_ptr<Job> find(const std::string& disk);

  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Job>> claims_;
};

}  // namespace blockpull::job
