// SPDX-License-Identifier: Apache-2.0
//
// What a check finds. Everything is counted, and the first findings of each severity are listed
// with a sentence: a damaged image can have millions.
//
//     error   the image can lose data, or has lost some; counted as `qemu-img check` counts
//     leak    a host cluster whose refcount is above the number of its references; counted as
//             `qemu-img check` counts
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

enum class FindingCode : std::uint8_t {
  kReferenceOutside,
  kReferencesTooMany,
  kL1Entry,
  kL2Entry,
  kCompressedEntry,
  kSubclusterBitmap,
  kSnapshot,
  kBitmap,
  kRefcountBlock,
  kRefcountLow,
  kCopiedFlag,
  kLeak,
  kSharedTable,
  kTrailingBytes,
};

inline constexpr std::size_t kCodes = static_cast<std::size_t>(FindingCode::kTrailingBytes) + 1;

[[nodiscard]] constexpr Severity severity_of(FindingCode code) {
  switch (code) {
    case FindingCode::kLeak:
      return Severity::kLeak;
    case FindingCode::kSharedTable:
    case FindingCode::kTrailingBytes:
      return Severity::kNote;
    default:
      return Severity::kError;
  }
}

/// For programs: "refcount-low".
[[nodiscard]] constexpr const char* name_of(FindingCode code) {
  switch (code) {
    case FindingCode::kReferenceOutside:
      return "reference-outside";
    case FindingCode::kReferencesTooMany:
      return "references-too-many";
    case FindingCode::kL1Entry:
      return "l1-entry";
    case FindingCode::kL2Entry:
      return "l2-entry";
    case FindingCode::kCompressedEntry:
      return "compressed-entry";
    case FindingCode::kSubclusterBitmap:
      return "subclusters";
    case FindingCode::kSnapshot:
      return "snapshot";
    case FindingCode::kBitmap:
      return "bitmap";
    case FindingCode::kRefcountBlock:
      return "refcount-block";
    case FindingCode::kRefcountLow:
      return "refcount-low";
    case FindingCode::kCopiedFlag:
      return "copied-flag";
    case FindingCode::kLeak:
      return "leak";
    case FindingCode::kSharedTable:
      return "shared-table";
    case FindingCode::kTrailingBytes:
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
  FindingCode code = FindingCode::kLeak;
  /// Where in the file, in bytes: the cluster, or the entry that is wrong.
  std::uint64_t offset = 0;
  std::string message;
};

class Findings {
 public:
  /// Listed of each severity.
  static constexpr std::uint64_t kListed = 100;

  /// `times`: how many findings it counts as, at least 1. `sentence()` is called if it is listed.
  template <typename Sentence>
  void add(FindingCode code, std::uint64_t offset, std::uint64_t times, const Sentence& sentence) {
    const auto severity = static_cast<std::size_t>(severity_of(code));
    counts_[severity] += times;
    by_code_[static_cast<std::size_t>(code)] += times;
    if (listed_[severity] < kListed) {
      ++listed_[severity];
      list_.push_back({code, offset, sentence()});
    }
  }

  [[nodiscard]] std::uint64_t count(Severity severity) const {
    return counts_[static_cast<std::size_t>(severity)];
  }

  [[nodiscard]] std::uint64_t count(FindingCode code) const {
    return by_code_[static_cast<std::size_t>(code)];
  }

  [[nodiscard]] const std::vector<Finding>& list() const { return list_; }

 private:
  std::array<std::uint64_t, 3> counts_{};
  std::array<std::uint64_t, 3> listed_{};
  std::array<std::uint64_t, kCodes> by_code_{};
  std::vector<Finding> list_;
};

}  // namespace blockpull::image::qcow2
