// SPDX-License-Identifier: Apache-2.0
//
// What must not overlap, by the name of what it uses: one at a time goes on, the others wait in
// the order in which they came.
//
//     wait ─▶ first of its name? ─ yes ─▶ begin ─▶ … the turn is let go ─▶ the next begins
//                                └ no ──▶ in line
//
// A turn is held by whoever is at it and ends with its last copy, so it also ends where a callback
// that holds it is dropped unheard.
//
// Thread rule: any thread; who is next begins on the thread that lets go.

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace blockpull {

/// Outlives its turns.
class Turns {
 public:
  using Turn = std::shared_ptr<void>;
  using Begin = std::function<void(Turn)>;

  void wait(const std::string& name, Begin begin);

 private:
  [[nodiscard]] Turn turn_of(const std::string& name);
  void next(const std::string& name);

  /// Guards what follows: who waits, by the names that are in use.
  std::mutex mutex_;
  std::map<std::string, std::deque<Begin>> waiting_;
};

}  // namespace blockpull
