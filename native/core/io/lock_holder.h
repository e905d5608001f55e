// SPDX-License-Identifier: Apache-2.0
//
// Which process holds a lock on a byte of a file, for a message that says whom to stop. The kernel
// tells no process id for the locks that QEMU and we use, so /proc/<pid>/fdinfo is searched for
// them; a container or missing rights may hide the holder, and then the answer is "another
// process".

#pragma once

#include <string>

#include <sys/types.h>

#include "core/io/posix_file.h"

namespace blockpull::io {

struct Holder {
  /// 0: not found.
  pid_t pid = 0;
  /// The process's name as /proc/<pid>/comm has it, or empty.
  std::string name;
};

/// Who has a lock on `byte` of `file`, other than through `file` itself. `known_pid` is what
/// F_OFD_GETLK told, 0 for nothing. Reads a bounded number of files below /proc and never fails.
[[nodiscard]] Holder find_lock_holder(const PosixFile& file, off_t byte, pid_t known_pid);

/// "pid 4711 (qemu-system-x86)", "this process (pid 42)" or "another process".
[[nodiscard]] std::string describe_holder(const Holder& holder);

/// What to do about it: "shut the guest down first", for example.
[[nodiscard]] std::string advice(const Holder& holder);

}  // namespace blockpull::io
