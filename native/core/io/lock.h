// SPDX-License-Identifier: Apache-2.0
//
// QEMU's image locks, so that QEMU and we exclude each other.
//
//     byte 100 + i   "I use permission i"              i: 0 consistent read, 1 write,
//     byte 200 + i   "I do not share permission i"        2 write unchanged, 3 resize
//
// Only shared (F_RDLCK) open-file-description locks are taken. To find a conflict, F_OFD_GETLK
// checks whether a write lock on the opposite byte would be refused. Of two racing processes both
// may fail, but never both succeed. The locks end when the file is closed, or with the process; a
// writer's locks stay until its last request has ended.
//
// Source: QEMU block/file-posix.c, as observed; roles as QEMU uses them during a pull.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/io/posix_file.h"

namespace blockpull::io {

enum class LockRole : std::uint8_t {
  /// The active image of a pull: uses 0, 1, 2, 3 and shares only 0.
  kWriter,
  /// Every backing file: uses 0, does not share 1 and 3. Several overlays of one base coexist.
  kBackingReader,
};

/// Takes the locks on `file`. The message and `holder` of kLocked name the holder if /proc shows
/// it. On a filesystem without locks this is kUnsupported.
[[nodiscard]] Result<void> lock_image(PosixFile& file, LockRole role);

/// The same for a file that was opened by its path just before: also kLocked if that path leads to
/// another file by now.
[[nodiscard]] Result<void> lock_opened(PosixFile& file, LockRole role);

/// The process that has the file locked for writing: "pid 4711 (qemu-system-x86)", "another
/// process" if /proc does not show it, or empty if there is none. Takes no lock.
[[nodiscard]] std::string find_writer(PosixFile& file);

/// The refusal that lock_image() would give now; absent if it would succeed. Takes no lock.
[[nodiscard]] std::optional<Error> lock_refusal(PosixFile& file, LockRole role);

}  // namespace blockpull::io
