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
#include "driver/qemu/qemu_words.h"

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
                        told(answer.ok() ? Result<void>() : refusal(std::move(answer).error()));
                      }
                      then();
                    });
  }

  void answered() { --owed_; }

  [[nodiscard]] bool are_owed() const { return owed_ > 0; }

  /// `told` hears no refusal to resume a job that runs, or has copied everything.
  [[nodiscard]] static std::function<void(Result<void>)> resumed(
      std::function<void(Result<void>)> told) {
    return [told = std::move(told)](Result<void> said) {
      const bool is_running =
          !said.ok() && (words::not_paused(said.error()) || words::takes_no_command(said.error()));
      if (told) {
        told(is_running ? Result<void>() : std::move(said));
      }
    };
  }

 private:
  [[nodiscard]] static Error refusal(Error error) {
    if (words::no_such_job(error)) {
      error.kind = ErrorKind::kNoJob;
    }
    return error;
  }

  std::uint32_t owed_ = 0;
};

}  // namespace blockpull::driver::qemu
