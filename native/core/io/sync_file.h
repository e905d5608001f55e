// SPDX-License-Identifier: Apache-2.0
//
// Makes durable what other programs have written to a file. The kernel keeps the pages of a file
// once, whoever wrote them, so one program's fdatasync writes what another one never flushed.
//
// Thread rule: any thread; blocks until the disk has it.

#pragma once

#include <string>

#include "core/io/posix_file.h"

namespace blockpull::io {

/// Whether it was done: a name that leads to another file by now, or that cannot be opened for
/// reading, is left alone. kIo where the disk fails. fdatasync(2).
[[nodiscard]] Result<bool> sync_file(const std::string& path, FileId id);

}  // namespace blockpull::io
