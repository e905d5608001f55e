// SPDX-License-Identifier: Apache-2.0
//
// What a job does to its disk, by libvirt's words (virDomainBlockJobType). A job carries its kind
// from the request to its last event, and its id in QEMU names it.

#pragma once

#include <cstdint>

namespace blockpull::job {

enum class Kind : std::uint8_t {
  /// Fills the disk from its backing files: a block-stream in QEMU.
  kPull,
};

/// "pull": as messages and ids say it.
[[nodiscard]] constexpr const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kPull:
      return "pull";
  }
  return "job";
}

}  // namespace blockpull::job
