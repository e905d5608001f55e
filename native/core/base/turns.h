// SPDX-License-Identifier: Apache-2.0
//
// Serializes operations that use the same resource, identified by its name. One runs at a time; the
// others wait in order of arrival.
//
//     wait ─▶ first of its name? ─ yes ─▶ begin ─▶ … the turn is released ─▶ the next begins
//                                └ no ──▶ in line
//
// The running operation holds its turn, which ends when its last copy is destroyed. A turn
// therefore also ends when a callback that holds it is dropped without a call.
//
// Thread rule: any thread; the next operation begins on the thread that releases the turn.

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace blockpull {

/// Must outlive its turns.
class Turns {
 public:
  using Turn = std::shared_ptr<void>;
  using Begin = std::function<void(Turn)>;

  void wait(const std::string& name, Begin begin);

 private:
  [[nodiscard]] Turn turn_of(const std::string& name);
  void next(const std::string& name);

  /// Guards everything below: the waiting operations, by the names in use.
  std::mutex mutex_;
  std::map<std::string, std::deque<Begin>> waiting_;
};

}  // namespace blockpull
