// SPDX-License-Identifier: Apache-2.0

#include "core/io/file_content.h"

#include <algorithm>
#include <vector>

#include "core/base/limits.h"

namespace blockpull::io {

Result<bool> read_content(File& file, std::uint64_t from, std::uint64_t to,
                          const TakeContent& take) {
  std::vector<std::byte> bytes;
  while (from < to) {
    BLOCKPULL_TRY(run, file.run_at(from));
    const std::uint64_t end = from + std::min(run.length, to - from);
    while (!run.hole && from < end) {
      bytes.resize(std::min(limits::kMiB, end - from));
      BLOCKPULL_CHECK(file.read_at(from, bytes));
      BLOCKPULL_TRY(goes_on, take(from, bytes));
      if (!goes_on) {
        return false;
      }
      from += bytes.size();
    }
    from = end;
  }
  return true;
}

}  // namespace blockpull::io
