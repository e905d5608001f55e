// SPDX-License-Identifier: Apache-2.0
//
// Lets the caller of a long walk through tables or data give it up and see its progress.
//
//     caller   give_up() ──▶ ┌───────┐ ◀── check()            between its parts
//              progress() ◀─ │ state │ ◀── begin(), reach()   the walk
//                            └───────┘
//
// Copies share the state. A walk has one phase after another: first tables, then perhaps data. Each
// phase counts from 0 to a total of its own, and never backwards.
// Thread rule: any thread.

#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "core/base/wanted.h"

namespace blockpull {

/// What the walk reads.
enum class WalkPhase : std::uint8_t { kTables, kData };

struct WalkProgress {
  WalkPhase phase = WalkPhase::kTables;
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;
};

class WalkWatch {
 public:
  /// For a walk that is wanted as long as `is_wanted` returns true and give_up() was not called.
  template <std::predicate F>
  WalkWatch(F is_wanted)  // NOLINT(google-explicit-constructor)
      : state_(std::make_shared<State>(std::move(is_wanted))) {}

  void give_up() const {
    const std::lock_guard lock(state_->mutex);
    state_->is_given_up = true;
  }

  /// Absent before the walk has begun to count.
  [[nodiscard]] std::optional<WalkProgress> progress() const {
    const std::lock_guard lock(state_->mutex);
    return state_->progress;
  }

  /// kCancelled if nobody wants the result any more.
  [[nodiscard]] Result<void> check() const {
    return check_wanted([this] { return !is_given_up() && state_->is_wanted(); });
  }

  void begin(WalkPhase phase, std::uint64_t total_bytes) const {
    const std::lock_guard lock(state_->mutex);
    state_->progress = WalkProgress{phase, 0, total_bytes};
  }

  /// To be called after begin().
  void reach(std::uint64_t done_bytes) const {
    const std::lock_guard lock(state_->mutex);
    auto& progress = *state_->progress;
    progress.done_bytes = std::clamp(done_bytes, progress.done_bytes, progress.total_bytes);
  }

 private:
  struct State {
    explicit State(IsWanted wanted) : is_wanted(std::move(wanted)) {}

    const IsWanted is_wanted;
    /// Guards everything below.
    std::mutex mutex;
    bool is_given_up = false;
    std::optional<WalkProgress> progress;
  };

  [[nodiscard]] bool is_given_up() const {
    const std::lock_guard lock(state_->mutex);
    return state_->is_given_up;
  }

  std::shared_ptr<State> state_;
};

}  // namespace blockpull
