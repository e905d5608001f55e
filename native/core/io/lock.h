// SPDX-License-Identifier: Apache-2.0
//
// QEMU's image locks, so that QEMU and we exclude each other.
//
//     byte 100 + i   "I use permission i"              i: 0 consistent read, 1 write,
//     byte 200 + i   "I do not share permission i"        2 write unchanged, 3 resize
//
// Only shared (F_RDLCK) open-file-description locks are ever taken; a conflict is found by asking
// with F_OFD_GETLK whether a write lock on the opposite byte would be refused. Two racers may both
// fail, never both succeed. The locks go when the file is closed, or with the process; a writer's
// not before its last request has ended.
//
// Source: QEMU block/file-posix.c, as observed; roles as QEMU uses them for a running pull.

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

/// Takes the locks on `file`. kLocked names the holder in message and `holder` where /proc allows;
/// a filesystem without locks is kUnsupported.
[[nodiscard]] Result<void> lock_image(PosixFile& file, LockRole role);

/// Who has the file locked for writing, as "pid 4711 (qemu-system-x86)", "another process" where
/// /proc does not tell, or empty when nobody has. Takes no lock.
[[nodiscard]] std::string find_writer(PosixFile& file);

/// What lock_image() would refuse now; absent when it would not. Takes no lock.
[[nodiscard]] std::optional<Error> lock_refusal(PosixFile& file, LockRole role);

}  // namespace blockpull::io
