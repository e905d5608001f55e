// SPDX-License-Identifier: Apache-2.0
//
// An index is only `target[digits]` with nothing behind it; `a[1].qcow2` is a file.

#include "virt/session/base_name.h"

#include <charconv>
#include <optional>

#include "core/base/text.h"

namespace blockpull::virt {
namespace {

struct Indexed {
  std::string_view target;
  std::size_t index = 0;
};

/// Absent if `name` has another form, and for index 0, which is not a backing file.
std::optional<Indexed> indexed(std::string_view name) {
  const std::size_t open = name.rfind('[');
  if (open == std::string_view::npos || !name.ends_with(']')) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(open + 1, name.size() - open - 2);
  Indexed out{name.substr(0, open), 0};
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), out.index);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || out.index == 0) {
    return std::nullopt;
  }
  return out;
}

}  // namespace

Result<driver::BaseChoice> parse_base(const std::string& name, const Disk& disk) {
  const auto by_index = indexed(name);
  if (!by_index) {
    return driver::BaseChoice{name, std::nullopt};
  }
  if (by_index->target != disk.target) {
    return report(ErrorKind::kNoBase, text("requested target '", by_index->target,
                                           "' does not match target '", disk.target, "'"));
  }
  return driver::BaseChoice{name, by_index->index};
}

Failure no_such_base(const driver::BaseChoice& base, const Disk& disk) {
  if (base.index) {
    return report(ErrorKind::kNoBase, text("could not find backing store index '", *base.index,
                                           "' in chain for '", disk.target, "'"));
  }
  return report(ErrorKind::kNoBase, text("could not find image '", base.name, "' beneath '",
                                         disk.source, "' in chain for '", disk.target, "'"));
}

}  // namespace blockpull::virt
