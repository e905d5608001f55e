// SPDX-License-Identifier: Apache-2.0
//
// The requests of callers to a tracked job: a new limit, or a resume after an error. They go to
// QEMU beside the tracker's own steps. A tracker does not leave before they are answered.
//
// Thread rule: the tracker's, but for `done` and `on_answered`, which run on the reactor's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "core/qmp/monitor.h"
#include "driver/qemu/qemu_words.h"

namespace blockpull::driver::qemu {

class JobRequests {
 public:
  /// `done`, if set, gets QEMU's answer. `on_answered` is called after that, and calls answered().
  void ask(qmp::Monitor& monitor, qmp::Command command, std::function<void(Result<void>)> done,
           std::function<void()> on_answered) {
    ++owed_;
    monitor.execute(
        std::move(command),
        [done = std::move(done), on_answered = std::move(on_answered)](Result<qmp::Json> answer) {
          if (done) {
            done(answer.ok() ? Result<void>() : refusal(std::move(answer).error()));
          }
          on_answered();
        });
  }

  void answered() { --owed_; }

  [[nodiscard]] bool are_owed() const { return owed_ > 0; }

  /// Turns a refusal to resume into success if the job runs, or has copied everything.
  [[nodiscard]] static std::function<void(Result<void>)> resumed(
      std::function<void(Result<void>)> done) {
    return [done = std::move(done)](Result<void> said) {
      const bool is_running =
          !said.ok() && (words::not_paused(said.error()) || words::takes_no_command(said.error()));
      if (done) {
        done(is_running ? Result<void>() : std::move(said));
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
