// SPDX-License-Identifier: Apache-2.0
//
// The map of running jobs. Jobs are stopped without the lock, since their end takes it.

#include "virt/session/live_jobs.h"

#include <utility>
#include <vector>

namespace blockpull::virt {

LiveJobs::Place::~Place() {
  if (owner_ != nullptr) {
    owner_->forget(id_);
  }
}

std::optional<LiveJobs::Place> LiveJobs::reserve(LiveJob planned) {
  const std::lock_guard lock(mutex_);
  if (closed_) {
    return std::nullopt;
  }
  const std::uint64_t id = next_id_++;
  planned.id = id;
  entries_[id].live = std::move(planned);
  return Place(shared_from_this(), id);
}

std::shared_ptr<job::Job> LiveJobs::start(Place place, job::Engine& engine,
                                          std::unique_ptr<driver::PreparedPull> pull,
                                          job::JobOptions options) {
  if (is_closed()) {
    // The pull goes before the place: a listener for idleness must find no image lock of ours.
    pull.reset();
    return nullptr;
  }
  const std::uint64_t id = place.id_;
  options.on_end = [self = std::exchange(place.owner_, nullptr), id,
                    told = std::move(options.on_end)](const job::Outcome& outcome) {
    if (told) {
      told(outcome);
    }
    self->forget(id);
  };
  auto job = pull->start(engine, std::move(options));
  std::optional<job::Stop> stop;
  {
    const std::lock_guard lock(mutex_);
    if (const auto entry = entries_.find(id); entry != entries_.end()) {
      entry->second.live.job = job;
      stop = closed_;
    }
  }
  if (stop) {
    job->stop(*stop);
  }
  return job;
}

std::optional<LiveJob> LiveJobs::find(const std::string& uuid, const std::string& disk) {
  const bool is_path = disk.starts_with('/');
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : entries_) {
    const LiveJob& live = entry.live;
    if (live.job != nullptr && !job::has_ended(live.job->progress().state) &&
        live.disk.domain_uuid == uuid && (is_path ? live.disk.source : live.disk.target) == disk) {
      LiveJob found = live;
      found.is_orphan = entry.is_joinable();
      return found;
    }
  }
  return std::nullopt;
}

std::vector<LiveJob> LiveJobs::in_guest(const std::string& uuid) {
  std::vector<LiveJob> running;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : entries_) {
    const LiveJob& live = entry.live;
    if (live.is_in_guest && live.disk.domain_uuid == uuid && live.job != nullptr &&
        !job::has_ended(live.job->progress().state)) {
      running.push_back(live);
    }
  }
  return running;
}

LiveJobs::Entry* LiveJobs::entry_of(const job::Job& job) {
  for (auto& [id, entry] : entries_) {
    if (entry.live.job.get() == &job) {
      return &entry;
    }
  }
  return nullptr;
}

bool LiveJobs::is_orphan(const job::Job& job) {
  const std::lock_guard lock(mutex_);
  const Entry* const entry = entry_of(job);
  return entry != nullptr && entry->is_joinable();
}

bool LiveJobs::is_asked_for(const job::Job& job) {
  const std::lock_guard lock(mutex_);
  const Entry* const entry = entry_of(job);
  return entry != nullptr && !entry->live.is_orphan;
}

bool LiveJobs::claim_orphan(const job::Job& job) {
  const std::lock_guard lock(mutex_);
  Entry* const entry = entry_of(job);
  return entry != nullptr && entry->is_joinable() && std::exchange(entry->live.is_orphan, false);
}

bool LiveJobs::claim_abort(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(id);
  return entry != entries_.end() && !closed_ && !std::exchange(entry->second.abort_asked, true);
}

void LiveJobs::close(job::Stop how) {
  std::vector<std::shared_ptr<job::Job>> running;
  {
    const std::lock_guard lock(mutex_);
    if (!closed_ || how == job::Stop::kAbandon) {
      closed_ = how;
    }
    for (const auto& [id, entry] : entries_) {
      if (entry.live.job != nullptr) {
        running.push_back(entry.live.job);
      }
    }
  }
  for (const auto& job : running) {
    job->stop(how);
  }
}

bool LiveJobs::is_closed() {
  const std::lock_guard lock(mutex_);
  return closed_.has_value();
}

void LiveJobs::when_idle(std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    if (!entries_.empty()) {
      waiting_.push_back(std::move(done));
      return;
    }
  }
  done();
}

void LiveJobs::wait_until_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return entries_.empty(); });
}

bool LiveJobs::is_idle() {
  const std::lock_guard lock(mutex_);
  return entries_.empty();
}

void LiveJobs::forget(std::uint64_t id) {
  // The entry is destroyed after the lock is released.
  std::map<std::uint64_t, Entry>::node_type forgotten;
  std::vector<std::function<void()>> waiting;
  {
    const std::lock_guard lock(mutex_);
    forgotten = entries_.extract(id);
    if (entries_.empty()) {
      waiting.swap(waiting_);
    }
    changed_.notify_all();
  }
  for (const auto& done : waiting) {
    done();
  }
}

}  // namespace blockpull::virt
