// SPDX-License-Identifier: Apache-2.0
//
// What a connection reports about its jobs: one record per change, after the change. libvirt
// reports each change twice, as event 8 with the path and then as event 16 with the target;
// `EventBook` makes those two from one record.
//
// The sink is called on the engine's thread and must not block.

#pragma once

#include <functional>
#include <optional>
#include <string>

#include "job/job.h"
#include "virt/words/error_map.h"

namespace blockpull::virt {

struct BlockJobEvent {
  std::string domain_name;
  std::string domain_uuid;
  /// "vda".
  std::string target;
  /// Path of the active layer.
  std::string path;
  BlockJobType type = BlockJobType::kUnknown;
  BlockJobStatus status = BlockJobStatus::kCompleted;
  /// Why, unless it completed.
  std::optional<Failure> error;
};

using EventSink = std::function<void(const BlockJobEvent&)>;

/// libvirt's number for that kind.
[[nodiscard]] inline BlockJobType type_of(job::Kind kind) {
  switch (kind) {
    case job::Kind::kPull:
      return BlockJobType::kPull;
  }
  return BlockJobType::kUnknown;
}

/// libvirt's word for how a job ended.
[[nodiscard]] inline BlockJobStatus status_of(job::State ended) {
  switch (ended) {
    case job::State::kCompleted:
      return BlockJobStatus::kCompleted;
    case job::State::kCancelled:
      return BlockJobStatus::kCanceled;
    default:
      return BlockJobStatus::kFailed;
  }
}

}  // namespace blockpull::virt
