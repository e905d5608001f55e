// SPDX-License-Identifier: Apache-2.0
//
// A file of a chain, to compare with files of other chains that may need it. Two names may lead to
// one file, so the inode decides. Files that cannot be seen from here (a QEMU in a container, a
// name relative to QEMU's folder) are compared by name. If one name is relative, the last parts
// decide: in doubt a file counts as needed. A file is ignored only when its identity is certain.
//
// Thread rule: any thread; own_file(), guest_file() and find_by_name() block for a stat,
// make_durable() for the disk.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/image/chain.h"
#include "core/io/posix_file.h"

namespace blockpull::driver {

struct ChainFile {
  /// The name in its chain.
  std::string path;
  /// Absent: the file cannot be seen from here.
  std::optional<io::FileId> id;
};

/// The file that the name leads to from here.
[[nodiscard]] ChainFile own_file(std::string path);

/// The file that a QEMU has by that name. A relative name belongs to QEMU's own folder.
[[nodiscard]] ChainFile guest_file(std::string path);

/// Looks up those of a QEMU's files that are only known by name.
void find_by_name(std::vector<ChainFile>& files);

/// The files of an open chain, top first.
[[nodiscard]] std::vector<ChainFile> files_of(const image::Chain& chain);

/// Makes durable what anybody has written to the file, if it can be seen from here. kIo.
[[nodiscard]] Result<void> make_durable(const ChainFile& file);

/// Whether the two may be one file; true in doubt.
[[nodiscard]] bool may_be_same_file(const ChainFile& one, const ChainFile& other);

/// Whether the two are one file; false in doubt.
[[nodiscard]] bool is_same_file(const ChainFile& one, const ChainFile& other);

}  // namespace blockpull::driver
