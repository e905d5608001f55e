// SPDX-License-Identifier: Apache-2.0

#include "core/io/file_content.h"

#include <algorithm>
#include <vector>

#include "core/base/bytes.h"
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

Result<std::uint64_t> first_nonzero(File& file, std::uint64_t from, std::uint64_t to) {
  std::uint64_t first = to;
  const auto look = [&first](std::uint64_t offset, std::span<std::byte> bytes) -> Result<bool> {
    if (all_zero(bytes)) {
      return true;
    }
    const auto at = std::find_if(bytes.begin(), bytes.end(),
                                 [](std::byte each) { return each != std::byte{0}; });
    first = offset + static_cast<std::uint64_t>(at - bytes.begin());
    return false;
  };
  BLOCKPULL_CHECK(read_content(file, from, to, look));
  return first;
}

}  // namespace blockpull::io
