// SPDX-License-Identifier: Apache-2.0
//
// Finds the process that holds a lock on a byte of a file, for a message that says what to stop.
// The kernel reports no process id for the locks that QEMU and we use, so this searches
// /proc/<pid>/fdinfo. A container or missing permissions may hide the holder; the answer is then
// "another process".

#pragma once

#include <string>

#include <sys/types.h>

#include "core/io/posix_file.h"

namespace blockpull::io {

struct Holder {
  /// 0 if not found.
  pid_t pid = 0;
  /// The process's name as in /proc/<pid>/comm, or empty.
  std::string name;
};

/// Finds a lock on `byte` of `file` that is not held through `file` itself. `known_pid` is the
/// process that F_OFD_GETLK reported, 0 for none. Reads a bounded number of files in /proc and
/// never fails.
[[nodiscard]] Holder find_lock_holder(const PosixFile& file, off_t byte, pid_t known_pid);

/// "pid 4711 (qemu-system-x86)", "this process (pid 42)" or "another process".
[[nodiscard]] std::string describe_holder(const Holder& holder);

/// What to do about it: "shut the guest down first", for example.
[[nodiscard]] std::string advice(const Holder& holder);

}  // namespace blockpull::io
