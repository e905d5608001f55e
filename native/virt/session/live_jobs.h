// SPDX-License-Identifier: Apache-2.0
//
// The jobs that one owner has started and that have not ended. The owner is a connection, or the
// set of calls on bare images.
//
//     reserve ─▶ open, lock, check: may be slow ─┬─▶ start ─▶ … ─▶ end, reported, then removed
//                                                └─▶ refused: the place is given up
//
// After close() no place is reserved and no job starts. Jobs that run, and places that were already
// reserved, come to their end, and when_idle() reports that. A place counts from its reservation
// on, so nothing is missed in between.
//
// Thread rule: any thread. No file operation happens under the lock. The listener for a job's end
// runs on the engine's thread, before when_idle() reports and before wait_until_idle() returns.

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
  /// The guest's QEMU does the work.
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
  /// A reserved place; given up on destruction unless a job was started in it.
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

  /// Starts the pull in its place. Returns nullptr after close(), and starts nothing then.
  [[nodiscard]] std::shared_ptr<job::Job> start(Place place, job::Engine& engine,
                                                std::unique_ptr<driver::PreparedPull> pull,
                                                job::JobOptions options);

  /// The job that runs on that domain's disk, named by target or by the absolute path of its
  /// source. Absent once its end is reported, so that a listener may start the next job.
  [[nodiscard]] std::optional<LiveJob> find(const std::string& uuid, const std::string& disk);

  /// The jobs in that domain's QEMU that have not ended.
  [[nodiscard]] std::vector<LiveJob> in_guest(const std::string& uuid);

  /// Whether that job is here as an orphan, is not claimed yet, and nobody has asked for its end.
  [[nodiscard]] bool is_orphan(const job::Job& job);
  /// Whether that job is here and somebody has asked for it.
  [[nodiscard]] bool is_asked_for(const job::Job& job);
  /// Turns an orphan into a job that was asked for. False if is_orphan() is false.
  [[nodiscard]] bool claim_orphan(const job::Job& job);

  /// False if somebody has already asked for this job's end, if it has ended, or after close().
  [[nodiscard]] bool claim_abort(std::uint64_t id);

  /// Refuses new jobs and asks the others to end. Does not wait. May be called again with kAbandon.
  void close(job::Stop how);
  [[nodiscard]] bool is_closed();

  /// Calls `done` when nothing is reserved and nothing runs: at once, or on the thread of the last
  /// end. `done` must not block.
  void when_idle(std::function<void()> done);
  /// Blocks until nothing is reserved and nothing runs.
  void wait_until_idle();
  [[nodiscard]] bool is_idle();

 private:
  struct Entry {
    LiveJob live;
    bool abort_asked = false;

    /// A caller must not join a job that is being ended: it would see an end that it did not ask
    /// for.
    [[nodiscard]] bool is_joinable() const { return live.is_orphan && !abort_asked; }
  };

  void forget(std::uint64_t id);
  /// The caller holds the lock. nullptr if the job is not here.
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
