// SPDX-License-Identifier: Apache-2.0
//
// The jobs that one owner has started and that have not ended: a connection's, or those on bare
// images.
//
//     reserve ─▶ open, lock, judge: may take long ─┬─▶ start ─▶ … ─▶ end, told, then forgotten
//                                                  └─▶ refused: the place is given up
//
// After close() nothing is reserved and nothing starts; whatever runs, or was reserved before,
// ends, and when_idle() tells of that. A place counts from its reservation, so nothing slips
// through between.
//
// Thread rule: any thread. No file operation happens under the lock. The listener of an end runs on
// the engine's thread, before when_idle() tells and wait_until_idle() returns.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "driver/pull.h"
#include "virt/domains/disk_ref.h"

namespace blockpull::virt {

/// A job of a connection.
struct LiveJob {
  DiskRef disk = {};
  /// The guest's QEMU does it.
  bool is_in_guest = false;
  /// An earlier process started it, and nobody has asked for it since.
  bool is_orphan = false;
  /// Absent while its place is only reserved.
  std::shared_ptr<job::Job> job = nullptr;
  /// Its place; 0 for none.
  std::uint64_t id = 0;
};

class LiveJobs : public std::enable_shared_from_this<LiveJobs> {
 public:
  /// A reserved place; gives itself up unless a job was started in it.
  class Place {
   public:
    Place(Place&& other) noexcept = default;
    Place& operator=(Place&& other) = delete;
    ~Place();

   private:
    friend class LiveJobs;

    Place(std::shared_ptr<LiveJobs> owner, std::uint64_t id) : owner_(std::move(owner)), id_(id) {}

    std::shared_ptr<LiveJobs> owner_;
    std::uint64_t id_;
  };

  /// A place for a job that has not started. Absent after close().
  [[nodiscard]] std::optional<Place> reserve(LiveJob planned);

  /// Starts the pull in its place. nullptr after close(): then nothing was started.
  [[nodiscard]] std::shared_ptr<job::Job> start(Place place, job::Engine& engine,
                                                std::unique_ptr<driver::PreparedPull> pull,
                                                job::JobOptions options);

  /// The job that runs on that domain's disk, named by target or by the absolute path of its
  /// source. Absent once its end is reported, so that a listener may start the next job.
  [[nodiscard]] std::optional<LiveJob> find(const std::string& uuid, const std::string& disk);

  /// The jobs in that domain's QEMU that have not ended.
  [[nodiscard]] std::vector<LiveJob> in_guest(const std::string& uuid);

  /// Whether that job is an orphan among these, was not claimed before, and is not being ended.
  [[nodiscard]] bool is_orphan(const job::Job& job);
  /// Whether that job is one of these, and somebody has asked for it.
  [[nodiscard]] bool is_asked_for(const job::Job& job);
  /// Makes it one that was asked for; false where is_orphan() is.
  [[nodiscard]] bool claim_orphan(const job::Job& job);

  /// False when somebody has asked for this job's end before, or it has ended.
  [[nodiscard]] bool claim_abort(std::uint64_t id);

  /// Refuses new jobs and asks the others to end. Does not wait. May be called again, to abandon.
  void close(job::Stop how);
  [[nodiscard]] bool is_closed();

  /// Calls `done` when nothing is reserved and nothing runs: at once, or on the thread of the last
  /// end. It must not block.
  void when_idle(std::function<void()> done);
  /// Blocks until then.
  void wait_until_idle();
  [[nodiscard]] bool is_idle();

 private:
  struct Entry {
    LiveJob live;
    bool abort_asked = false;

    /// A caller that joined a job which is being ended would see an end that it did not ask for.
    [[nodiscard]] bool is_joinable() const { return live.is_orphan && !abort_asked; }
  };

  void forget(std::uint64_t id);
  /// Under the lock; nullptr where it is none of these.
  [[nodiscard]] Entry* entry_of(const job::Job& job);

  /// Guards everything below.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Entry> entries_;
  std::vector<std::function<void()>> waiting_;
  std::uint64_t next_id_ = 1;
  std::optional<job::Stop> closed_;
};

}  // namespace blockpull::virt
