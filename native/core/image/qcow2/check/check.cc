// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/check/check.h"

#include <utility>

#include "core/base/checked.h"
#include "core/base/text.h"
#include "core/image/qcow2/check/compare_refcounts.h"
#include "core/image/qcow2/check/count_references.h"
#include "core/image/qcow2/trailing_bytes.h"

namespace blockpull::image::qcow2 {
namespace {

Result<void> look_behind_end(Qcow2Image& image, CountedReferences& counted) {
  BLOCKPULL_TRY(foreign, begin_of_foreign(image, counted.map));
  if (foreign) {
    BLOCKPULL_TRY(file_size, image.file().size());
    counted.findings.add(FindingCode::kTrailingBytes, *foreign, 1, [&] {
      return text("the image ends at ", *foreign, ", and the file at ", file_size,
                  ": the bytes between belong to another program");
    });
  }
  return {};
}

CheckReport report_of(const Header& header, const CountedReferences& counted) {
  const Findings& findings = counted.findings;
  CheckReport report;
  report.errors = findings.count(Severity::kError);
  report.leaks = findings.count(Severity::kLeak);
  report.notes = findings.count(Severity::kNote);
  report.findings = findings.list();
  report.cluster_size = header.cluster_size();
  report.total_clusters = divide_up(header.virtual_size(), header.cluster_size());
  report.allocated_clusters = counted.allocated_clusters;
  report.compressed_clusters = counted.compressed_clusters;
  report.snapshots = header.snapshot_count;
  report.bitmaps = counted.bitmaps;
  return report;
}

}  // namespace

Result<Checked> check(Qcow2Image& image, StoredRefcounts& stored, const WalkWatch& watch) {
  BLOCKPULL_TRY(counted, count_references(image, stored, watch));
  BLOCKPULL_TRY(end, compare_refcounts(counted.map, stored, counted.findings, watch));
  // Only of a sound image is it known where it ends.
  if (counted.findings.count(Severity::kError) == 0 &&
      counted.findings.count(Severity::kLeak) == 0) {
    BLOCKPULL_CHECK(look_behind_end(image, counted));
  }
  CheckReport report = report_of(image.header(), counted);
  report.image_end = end << image.header().cluster_bits;
  return Checked{std::move(report), std::move(counted)};
}

Result<CheckReport> check(std::unique_ptr<io::File> file, const WalkWatch& watch) {
  BLOCKPULL_CHECK(watch.check());
  BLOCKPULL_TRY(image, Qcow2Image::open_metadata(std::move(file)));
  BLOCKPULL_TRY(file_size, image->file().size());
  StoredRefcounts stored(*image, file_size);
  BLOCKPULL_TRY(checked, check(*image, stored, watch));
  return std::move(checked.report);
}

}  // namespace blockpull::image::qcow2
