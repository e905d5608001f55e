// SPDX-License-Identifier: Apache-2.0
//
// A second opinion on an image: is it sound, and what does the guest read? Written for the tests
// alone, from the format's specification, without one line of the library's own parser, so that a
// mistake there is not made here again. It is judged itself, by qemu-img, in
// `crash_oracle_test.cc`.
//
//     corruption   something is referred to and not counted, counted twice over, or not in the file
//     leak         something is counted and not referred to; wasteful, harmless
//
// It knows what these tests make: plain and zero clusters, no snapshots, no compression.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "faults/content.h"

namespace blockpull::faults {

struct Verdict {
  /// Sentences; empty when the image is sound.
  std::vector<std::string> corruptions;
  /// Host clusters, also those behind the end of the file.
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

/// What the guest reads from the whole disk of `image`; empty when the image cannot be read.
[[nodiscard]] std::vector<std::byte> read_disk(const Content& image, const BackingFiles& backings);

}  // namespace blockpull::faults
