// SPDX-License-Identifier: Apache-2.0
//
// Another process, for things that only another process can have: locks, open files, its own
// folder.

#pragma once

#include <array>
#include <functional>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace blockpull::files {

/// A process that takes something and keeps it until it is killed at the end of the test.
class OtherProcess {
 public:
  explicit OtherProcess(const std::function<bool()>& take) {
    std::array<int, 2> ready{};
    EXPECT_EQ(::pipe(ready.data()), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      static_cast<void>(!::write(ready[1], take() ? "y" : "n", 1));
      ::pause();
      ::_exit(0);
    }
    ::close(ready[1]);
    char answer = 0;
    has_taken_ = ::read(ready[0], &answer, 1) == 1 && answer == 'y';
    ::close(ready[0]);
  }
  ~OtherProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool has_taken() const { return has_taken_; }

 private:
  pid_t pid_ = -1;
  bool has_taken_ = false;
};

}  // namespace blockpull::files
