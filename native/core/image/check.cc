// SPDX-License-Identifier: Apache-2.0

#include "core/image/check.h"

#include <utility>

#include "core/base/text.h"
#include "core/image/probe.h"
#include "core/image/qcow2/feature_bits.h"
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

/// Stated to be qcow2, and no magic: its header is damaged.
Error explain(Error error, std::optional<Format> format) {
  if (format && error.kind == ErrorKind::kFormatUnknown) {
    error.kind = ErrorKind::kImageCorrupt;
  }
  return error;
}

/// Another descriptor, whose reads come from the disk.
Result<std::unique_ptr<io::PosixFile>> open_anew(const io::PosixFile& repaired) {
  BLOCKPULL_TRY(file, io::PosixFile::open(repaired.path(), io::Access::kReadOnly));
  if (file->id() != repaired.id()) {
    return make_error(ErrorKind::kLocked, text("image '", repaired.path(),
                                               "' was replaced by another file during the repair"))
        .with_path(repaired.path());
  }
  file->forget_cached_pages();
  return file;
}

Result<RepairReport> repair_file(std::unique_ptr<io::PosixFile> locked, qcow2::RepairScope scope,
                                 const WalkWatch& watch) {
  io::PosixFile& file = *locked;
  // What is read must be what the disk has. A killed process leaves its last writes in memory
  // only, and after a failed flush the memory shows bytes that the disk has lost.
  BLOCKPULL_CHECK(file.sync());
  file.forget_cached_pages();
  BLOCKPULL_TRY(image, Qcow2Image::open_metadata(std::move(locked)));
  BLOCKPULL_TRY(found, qcow2::repair(*image, scope, watch));
  BLOCKPULL_TRY(anew, open_anew(file));
  BLOCKPULL_TRY(left, qcow2::check(std::move(anew), watch));
  if (left.errors == 0) {
    BLOCKPULL_CHECK(qcow2::clear_damage_bits(*image));
    BLOCKPULL_TRY(last, open_anew(file));
    BLOCKPULL_TRY(cleared, Qcow2Image::open_metadata(std::move(last)));
    if (cleared->header().incompatible != image->header().incompatible) {
      return make_error(ErrorKind::kIo, text("header of '", file.path(),
                                             "', read back after the repair, has other feature "
                                             "bits than were written; check the disk"))
          .with_path(file.path());
    }
  }
  return RepairReport{std::move(found), std::move(left)};
}

}  // namespace

Result<qcow2::CheckReport> check_image(const std::string& path, std::optional<Format> format,
                                       const WalkWatch& watch) {
  BLOCKPULL_CHECK(watch.check());
  BLOCKPULL_TRY(file, io::PosixFile::open(path, io::Access::kReadOnly));
  BLOCKPULL_CHECK(check_format(*file, format));
  BLOCKPULL_CHECK(io::lock_image(*file, io::LockRole::kBackingReader));
  auto report = qcow2::check(std::move(file), watch);
  return report.ok() ? std::move(report) : explain(std::move(report).error(), format);
}

Result<RepairReport> repair_image(const std::string& path, std::optional<Format> format,
                                  qcow2::RepairScope scope, const WalkWatch& watch) {
  BLOCKPULL_CHECK(watch.check());
  BLOCKPULL_TRY(file, io::PosixFile::open(path, io::Access::kReadWrite));
  BLOCKPULL_CHECK(check_format(*file, format));
  BLOCKPULL_CHECK(io::lock_opened(*file, io::LockRole::kWriter));
  auto report = repair_file(std::move(file), scope, watch);
  return report.ok() ? std::move(report) : explain(std::move(report).error(), format);
}

}  // namespace blockpull::image
