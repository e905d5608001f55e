// SPDX-License-Identifier: Apache-2.0
//
// At most one job for each disk. A disk that is shut off is an inode, whatever its names; a running
// guest's disk is a job in its QEMU. The first to claim it keeps it until the claim is released.
// Image locks and QEMU, not this class, keep other processes away.
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
  /// Releases the disk on destruction.
  class Claim {
   public:
    Claim() = default;
    Claim(Claim&& other) noexcept = default;
    Claim& operator=(Claim&& other) noexcept;
    ~Claim();

    /// Makes find() return this job.
    void set_job(std::weak_ptr<Job> job);
    void release();

   private:
    friend class Registry;
    Claim(std::shared_ptr<Registry> registry, std::string disk)
        : registry_(std::move(registry)), disk_(std::move(disk)) {}

    std::shared_ptr<Registry> registry_;
    std::string disk_;
  };

  /// kJobActive if the disk is already claimed; `path` is for the message.
  [[nodiscard]] Result<Claim> claim(io::FileId disk, const std::string& path);
  [[nodiscard]] Result<Claim> claim_in_guest(const std::string& monitor, const std::string& node);

  /// The refusal that claim() would give now, if any.
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
