// SPDX-License-Identifier: Apache-2.0
//
// What others ask of a job that is followed: another limit, to go on after an error. It goes to
// QEMU beside the follower's own steps, and who asks and then leaves is waited for.
//
// Thread rule: the follower's, but for `told` and `then`, which run on the reactor's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "core/qmp/monitor.h"

namespace blockpull::driver::qemu {

class JobRequests {
 public:
  /// `told`, if there is one, hears what QEMU says to it; `then` is called after that, and sees to
  /// answered().
  void ask(qmp::Monitor& monitor, qmp::Command command, std::function<void(Result<void>)> told,
           std::function<void()> then) {
    ++owed_;
    monitor.execute(std::move(command),
                    [told = std::move(told), then = std::move(then)](Result<qmp::Json> answer) {
                      if (told) {
                        told(answer.ok() ? Result<void>() : std::move(answer).error());
                      }
                      then();
                    });
  }

  void answered() { --owed_; }

  [[nodiscard]] bool are_owed() const { return owed_ > 0; }

 private:
  std::uint32_t owed_ = 0;
};

}  // namespace blockpull::driver::qemu
