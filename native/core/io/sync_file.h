// SPDX-License-Identifier: Apache-2.0
//
// Makes durable what other programs have written to a file. The kernel keeps one copy of a file's
// pages for all writers, so the fdatasync of one program writes what another never flushed.
//
// Thread rule: any thread; blocks until the disk has the data.

#pragma once

#include <string>

#include "core/io/posix_file.h"

namespace blockpull::io {

/// Whether it was done. Skips a name that now leads to another file, or that cannot be opened for
/// reading. kIo if the disk fails. fdatasync(2).
[[nodiscard]] Result<bool> sync_file(const std::string& path, FileId id);

}  // namespace blockpull::io
