// SPDX-License-Identifier: Apache-2.0

#include "core/image/check.h"

#include <utility>

#include "core/base/text.h"
#include "core/image/probe.h"
#include "core/io/lock.h"
#include "core/io/posix_file.h"

namespace blockpull::image {
namespace {

Error no_check(const std::string& path, const char* format) {
  return make_error(ErrorKind::kFormatUnknown,
                    text("image '", path, "' is ", format, "; only qcow2 images can be checked"))
      .with_path(path);
}

/// Refuses every format but qcow2.
Result<void> check_format(io::File& file, std::optional<Format> format) {
  if (format == Format::kRaw) {
    return no_check(file.path(), "raw");
  }
  if (format) {
    return {};
  }
  if (const auto qed = refuse_qed(file); !qed.ok()) {
    return qed.error().kind == ErrorKind::kFeatureUnsupported ? no_check(file.path(), "QED")
                                                              : qed.error();
  }
  const auto probed = probe_format(file);
  if (probed.ok() || probed.error().kind != ErrorKind::kFormatUnknown) {
    return probed.ok() ? Result<void>() : probed.error();
  }
  return make_error(ErrorKind::kFormatUnknown,
                    text("file '", file.path(),
                         "' is not a qcow2 image; only qcow2 images can be checked"))
      .with_path(file.path());
}

}  // namespace

Result<qcow2::CheckReport> check_image(const std::string& path, std::optional<Format> format,
                                       const WalkWatch& watch) {
  BLOCKPULL_CHECK(watch.check());
  BLOCKPULL_TRY(file, io::PosixFile::open(path, io::Access::kReadOnly));
  BLOCKPULL_CHECK(check_format(*file, format));
  BLOCKPULL_CHECK(io::lock_image(*file, io::LockRole::kBackingReader));
  auto report = qcow2::check(std::move(file), watch);
  if (!report.ok() && format && report.error().kind == ErrorKind::kFormatUnknown) {
    // Stated to be qcow2, so its header is damaged.
    report.error().kind = ErrorKind::kImageCorrupt;
  }
  return report;
}

}  // namespace blockpull::image
