// SPDX-License-Identifier: Apache-2.0
//
// A file of a chain, to be compared with files of other chains: who else needs it? Two names may
// lead to one file, so the inode decides. What cannot be seen from here (a QEMU in a container, a
// name that is relative to QEMU's folder) is compared by name; where a name is relative, its last
// part decides, so that a file is rather taken for needed than for free. What is not to count needs
// to be known for sure.
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
  /// As its chain names it.
  std::string path;
  /// Absent: it cannot be seen from here.
  std::optional<io::FileId> id;
};

/// The file that a name leads to here.
[[nodiscard]] ChainFile own_file(std::string path);

/// The file that a QEMU has by that name; a relative one means a folder of its own.
[[nodiscard]] ChainFile guest_file(std::string path);

/// Finds those of a QEMU's files that have been named only.
void find_by_name(std::vector<ChainFile>& files);

/// Those of an open chain, top first.
[[nodiscard]] std::vector<ChainFile> files_of(const image::Chain& chain);

/// Makes durable what anybody has written to a file that is seen from here. kIo.
[[nodiscard]] Result<void> make_durable(const ChainFile& file);

/// Whether the two may be one file; in doubt they are.
[[nodiscard]] bool may_be_same_file(const ChainFile& one, const ChainFile& other);

/// Whether they are; in doubt they are not.
[[nodiscard]] bool is_same_file(const ChainFile& one, const ChainFile& other);

}  // namespace blockpull::driver
