// SPDX-License-Identifier: Apache-2.0
//
// What a check finds. Everything is counted, and the first findings of each kind of severity are
// listed with a sentence: a damaged image can have millions.
//
//     error   the image can lose data, or has lost some; counted as `qemu-img check` counts
//     leak    space that nothing refers to; counted as `qemu-img check` counts
//     note    nothing is wrong yet, and QEMU's check does not look at it

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace blockpull::image::qcow2 {

enum class Severity : std::uint8_t { kError, kLeak, kNote };

enum class FindingKind : std::uint8_t {
  kReferenceOutside,
  kReferencesTooMany,
  kL1Entry,
  kL2Entry,
  kCompressedEntry,
  kSubclusters,
  kSnapshot,
  kBitmap,
  kRefcountBlock,
  kRefcountLow,
  kCopied,
  kLeak,
  kSharedTable,
  kTrailingBytes,
};

[[nodiscard]] constexpr Severity severity_of(FindingKind kind) {
  switch (kind) {
    case FindingKind::kLeak:
      return Severity::kLeak;
    case FindingKind::kSharedTable:
    case FindingKind::kTrailingBytes:
      return Severity::kNote;
    default:
      return Severity::kError;
  }
}

/// For programs: "refcount-low".
[[nodiscard]] constexpr const char* name_of(FindingKind kind) {
  switch (kind) {
    case FindingKind::kReferenceOutside:
      return "reference-outside";
    case FindingKind::kReferencesTooMany:
      return "references-too-many";
    case FindingKind::kL1Entry:
      return "l1-entry";
    case FindingKind::kL2Entry:
      return "l2-entry";
    case FindingKind::kCompressedEntry:
      return "compressed-entry";
    case FindingKind::kSubclusters:
      return "subclusters";
    case FindingKind::kSnapshot:
      return "snapshot";
    case FindingKind::kBitmap:
      return "bitmap";
    case FindingKind::kRefcountBlock:
      return "refcount-block";
    case FindingKind::kRefcountLow:
      return "refcount-low";
    case FindingKind::kCopied:
      return "copied-flag";
    case FindingKind::kLeak:
      return "leak";
    case FindingKind::kSharedTable:
      return "shared-table";
    case FindingKind::kTrailingBytes:
      return "trailing-bytes";
  }
  return "";
}

[[nodiscard]] constexpr const char* name_of(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kLeak:
      return "leak";
    case Severity::kNote:
      break;
  }
  return "note";
}

struct Finding {
  FindingKind kind = FindingKind::kLeak;
  /// Where in the file, in bytes: the cluster, or the entry that is wrong.
  std::uint64_t offset = 0;
  std::string message;
};

class Findings {
 public:
  /// Listed of each severity.
  static constexpr std::uint64_t kListed = 100;

  /// `times`: how many findings it counts as. `sentence()` is called if it is listed.
  template <typename Sentence>
  void add(FindingKind kind, std::uint64_t offset, std::uint64_t times, const Sentence& sentence) {
    const auto severity = static_cast<std::size_t>(severity_of(kind));
    counts_[severity] += times;
    if (times > 0 && listed_[severity] < kListed) {
      ++listed_[severity];
      list_.push_back({kind, offset, sentence()});
    }
  }

  [[nodiscard]] std::uint64_t count(Severity severity) const {
    return counts_[static_cast<std::size_t>(severity)];
  }

  [[nodiscard]] const std::vector<Finding>& list() const { return list_; }

 private:
  std::array<std::uint64_t, 3> counts_{};
  std::array<std::uint64_t, 3> listed_{};
  std::vector<Finding> list_;
};

}  // namespace blockpull::image::qcow2
