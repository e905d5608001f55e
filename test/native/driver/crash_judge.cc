// SPDX-License-Identifier: Apache-2.0

#include "driver/crash_judge.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "core/base/text.h"

namespace blockpull::driver {

using faults::check_image;
using faults::Content;
using faults::RecordedDisk;
using faults::Verdict;

namespace {

/// More than two pulls leave between the image and a trailer that they have raised.
constexpr std::uint64_t kRoom = std::uint64_t{64} << 20U;

std::uint64_t trailer_bytes(const CrashCase& crash_case) {
  return crash_case.keeps_trailer ? crash_case.top.garbage_behind : 0;
}

}  // namespace

CrashJudge::CrashJudge(const CrashCase& crash_case)
    : case_(crash_case),
      start_(faults::build_image(crash_case.top)),
      expected_(faults::read_disk(start_, crash_case.backings)),
      before_(check_image(start_)),
      trailer_(start_.read(start_.size() - trailer_bytes(crash_case), trailer_bytes(crash_case))) {}

std::string CrashJudge::missing_trailer(const Content& image) const {
  const bool ends_so = image.size() >= trailer_.size() &&
                       image.read(image.size() - trailer_.size(), trailer_.size()) == trailer_;
  return ends_so ? "" : "the file does not end with what was behind the image";
}

bool CrashJudge::has_trailer(const Content& image, std::uint64_t from) const {
  const auto bytes = image.read(from, std::min(image.size() - std::min(image.size(), from), kRoom));
  return std::search(bytes.begin(), bytes.end(), trailer_.begin(), trailer_.end()) != bytes.end();
}

std::string CrashJudge::differing_byte(const Content& image) const {
  const std::vector<std::byte> now = faults::read_disk(image, case_.backings);
  if (now == expected_) {
    return {};
  }
  const auto at = std::mismatch(now.begin(), now.end(), expected_.begin(), expected_.end());
  return text("the guest reads other bytes from ", std::distance(now.begin(), at.first), " on");
}

bool CrashJudge::is_over_longer() const {
  const auto& [content, is_raw] = case_.backings.at(case_.top.backing_name);
  const std::uint64_t size =
      is_raw ? content.size() : faults::read_disk(content, case_.backings).size();
  return size > case_.top.virtual_size;
}

std::string CrashJudge::fault_of(const Content& image) const {
  const Verdict verdict = check_image(image);
  if (!verdict.is_sound()) {
    return verdict.summary();
  }
  if (verdict.backing_name != case_.top.backing_name && verdict.backing_name != case_.base) {
    return text("the header names '", verdict.backing_name, "'");
  }
  if (std::string fault = missing_trailer(image); !fault.empty()) {
    // Until a copy is whole, the trailer is at its old place: behind the image, or raised by a pull
    // that died. Between the two there is a hole of any length.
    const std::uint64_t home = start_.size() - trailer_.size();
    const std::uint64_t raised = std::max(home, image.size() - std::min(image.size(), kRoom));
    if (!has_trailer(image, home) && !has_trailer(image, raised)) {
      return fault;
    }
  }
  return differing_byte(image);
}

/// If an unknown feature may own clusters, unreferenced ones are not touched.
bool CrashJudge::may_have_leaks(const Verdict& verdict) const {
  if (case_.top.has_unknown_extension) {
    return true;
  }
  // Bytes behind the last cluster stay too, if the pull has taken no clusters there.
  const bool has_tail =
      verdict.trailing_bytes != 0 && verdict.trailing_bytes != before_.trailing_bytes;
  return case_.top.autoclear != 0 && verdict.leaks == before_.leaks && !has_tail;
}

std::string CrashJudge::fault_of_completed(const Content& image) const {
  Verdict verdict = check_image(image);
  if (std::string fault = missing_trailer(image); !fault.empty()) {
    return fault;
  }
  // If clusters had leaked, the last of them was kept with the trailer, whose beginning it may
  // hold.
  const bool is_kept = !trailer_.empty() && verdict.trailing_bytes > trailer_.size();
  const std::uint64_t more = is_kept ? verdict.trailing_bytes - trailer_.size() : 0;
  // With subclusters the image ends inside a cluster.
  const bool is_anywhere = case_.top.has_extended_l2 && !trailer_.empty();
  if (is_anywhere || (verdict.trailing_bytes == trailer_.size() + more &&
                      more % (std::uint64_t{1} << case_.top.cluster_bits) == 0)) {
    verdict.trailing_bytes = 0;
  }
  if (!verdict.is_sound() || (!verdict.is_clean() && !may_have_leaks(verdict))) {
    return verdict.summary();
  }
  if (verdict.bytes_behind_disk != 0 && is_over_longer()) {
    return text(verdict.bytes_behind_disk, " bytes would show if the disk grew");
  }
  const bool keeps_base = !case_.base.empty();
  const char* const format = keeps_base && case_.backings.at(case_.base).is_raw ? "raw" : "qcow2";
  if (verdict.backing_name != case_.base || (keeps_base && verdict.backing_format != format)) {
    return text("the header names '", verdict.backing_name, "' of format '", verdict.backing_format,
                "' as its backing file");
  }
  return differing_byte(image);
}

std::string CrashJudge::fault_after_pull(const Content& image) const {
  if (std::string fault = fault_of(image); !fault.empty()) {
    return fault;
  }
  const auto disk = std::make_shared<RecordedDisk>(image);
  PullScript script;
  script.base = case_.base;
  script.trailing = case_.trailing();
  const PullRun run = run_pull(disk, case_.backings, script);
  if (!run.completed()) {
    return text("the next pull ", run.summary());
  }
  if (disk->log().empty() || disk->log().back().kind != faults::Change::Kind::kSync) {
    return "the next pull completed without a sync at its end";
  }
  const std::string fault = fault_of_completed(disk->now());
  return fault.empty() ? fault : text("after the next pull: ", fault);
}

}  // namespace blockpull::driver
