// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/repair/repair.h"

#include <limits>
#include <optional>
#include <utility>

#include "core/base/text.h"
#include "core/image/qcow2/feature_bits.h"
#include "core/image/qcow2/repair/copied_flags.h"
#include "core/image/qcow2/repair/lower_refcounts.h"
#include "core/image/qcow2/repair/rebuild_refcounts.h"
#include "core/image/qcow2/support.h"
#include "core/image/qcow2/trailing_bytes.h"

namespace blockpull::image::qcow2 {
namespace {

/// Whether every error is one of refcounts or copied flags, which follow from all the rest.
bool is_understood(const Findings& findings) {
  return findings.count(Severity::kError) == findings.count(FindingCode::kRefcountLow) +
                                                 findings.count(FindingCode::kRefcountBlock) +
                                                 findings.count(FindingCode::kCopiedFlag);
}

bool needs_rebuild(const Findings& findings) {
  return findings.count(FindingCode::kRefcountLow) > 0 ||
         findings.count(FindingCode::kRefcountBlock) > 0;
}

/// New tables go behind the file. An entry may refer to that place, and another program may look
/// for its bytes at the end. But what is behind a dirty image is the last writer's: it was killed.
Result<void> check_room(Qcow2Image& image, const Findings& findings,
                        std::optional<std::uint64_t> foreign) {
  const std::string& path = image.file().path();
  if (findings.count(FindingCode::kReferenceOutside) > 0) {
    return make_error(ErrorKind::kImageCorrupt,
                      text("image '", path,
                           "' refers to places behind its end, as a file does that was cut short; "
                           "its refcounts can only be written there, so nothing was repaired; "
                           "'qemu-img convert' copies what can be read"))
        .with_path(path);
  }
  if (foreign && (image.header().incompatible & incompatible::kDirty) == 0) {
    return make_error(ErrorKind::kFeatureUnsupported,
                      text("image '", path, "' ends at ", *foreign,
                           ", and bytes of another program follow; its refcounts can only be "
                           "written there, so move these bytes to another file first"))
        .with_path(path);
  }
  return {};
}

Result<void> mend(Qcow2Image& image, StoredRefcounts& stored, const CountedReferences& counted,
                  const WalkWatch& watch) {
  const Findings& findings = counted.findings;
  const bool may_lower = is_understood(findings) && owns_all_space(image.header());
  const bool rebuilds = needs_rebuild(findings);
  const bool lowers = !rebuilds && may_lower && findings.count(Severity::kLeak) > 0;
  if (!rebuilds && !lowers && findings.count(FindingCode::kCopiedFlag) == 0) {
    return {};
  }
  TargetRefcounts targets(counted.map, stored, may_lower);
  BLOCKPULL_TRY(foreign, begin_of_foreign(image, counted.map));
  if (rebuilds) {
    BLOCKPULL_CHECK(check_room(image, findings, foreign));
  }
  BLOCKPULL_CHECK(clear_unknown_autoclear(image));
  CopiedFlags flags(image, counted, targets);
  BLOCKPULL_TRY(cleared, flags.clear(watch));
  if (cleared) {
    // If we die here, the next open sees some flags too few, which is harmless.
    BLOCKPULL_CHECK(image.file().sync());
  }
  if (rebuilds) {
    BLOCKPULL_CHECK(rebuild_refcounts(image, stored, targets, watch));
  } else if (lowers) {
    const std::uint64_t kept_from = foreign.value_or(std::numeric_limits<std::uint64_t>::max());
    BLOCKPULL_CHECK(lower_refcounts(image, stored, targets, kept_from, watch));
  }
  if (!may_lower) {
    return {};
  }
  BLOCKPULL_TRY(set, flags.set(watch));
  // If we die here, the next open sees some flags too few, which is harmless.
  return set ? image.file().sync() : Result<void>();
}

}  // namespace

Result<CheckReport> repair(Qcow2Image& image, RepairScope scope, const WalkWatch& watch) {
  BLOCKPULL_TRY(file_size, image.file().size());
  StoredRefcounts stored(image, file_size);
  BLOCKPULL_TRY(checked, check(image, stored, watch));
  const CheckReport& found = checked.report;
  const bool is_in_scope = scope == RepairScope::kAll ? found.errors + found.leaks > 0
                                                      : found.errors == 0 && found.leaks > 0;
  if (is_in_scope) {
    BLOCKPULL_CHECK(mend(image, stored, checked.counted, watch));
  }
  return std::move(checked.report);
}

}  // namespace blockpull::image::qcow2
