// SPDX-License-Identifier: Apache-2.0
//
// An independent check of an image: is it sound, and what does the guest read? It is written only
// for the tests, from the format's specification, and shares no line with the library's parser, so
// that it does not repeat the parser's mistakes. `crash_oracle_test.cc` checks it against qemu-img.
//
//     corruption   a reference without a refcount, with too small a refcount, or outside the file
//     leak         a refcount without a reference; wasteful but harmless
//
// It supports what these tests create: plain and zero clusters, extended L2 entries, no snapshots,
// no compression.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "faults/content.h"

namespace blockpull::faults {

struct Verdict {
  /// Sentences; empty if the image is sound.
  std::vector<std::string> corruptions;
  /// Host clusters, including those behind the end of the file.
  std::vector<std::uint64_t> leaks;
  /// Bytes of the file behind the last cluster that anything refers to.
  std::uint64_t trailing_bytes = 0;
  /// Bytes, not zeros, behind the end of the disk in its last cluster.
  std::uint64_t bytes_behind_disk = 0;
  /// As the header states them, or empty.
  std::string backing_name;
  std::string backing_format;
  std::uint64_t autoclear = 0;

  [[nodiscard]] bool is_sound() const { return corruptions.empty(); }
  [[nodiscard]] bool is_clean() const { return is_sound() && leaks.empty() && trailing_bytes == 0; }
  /// For the message of a failed test.
  [[nodiscard]] std::string summary() const;
};

[[nodiscard]] Verdict check_image(const Content& image);

/// Files that an image may name as its backing file.
struct BackingFile {
  Content content;
  bool is_raw = false;
};
using BackingFiles = std::map<std::string, BackingFile>;

/// The whole disk of `image` as the guest reads it; empty if the image cannot be read.
[[nodiscard]] std::vector<std::byte> read_disk(const Content& image, const BackingFiles& backings);

}  // namespace blockpull::faults
