// SPDX-License-Identifier: Apache-2.0

#include "core/image/raw/raw_image.h"

#include <algorithm>
#include <utility>

#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"

namespace blockpull::image {
namespace {

/// The run at `offset`, a multiple of 512, in whole sectors. A sector that is partly data is data.
Result<io::FileRun> sector_run_at(io::File& file, std::uint64_t offset, std::uint64_t end) {
  BLOCKPULL_TRY(run, file.run_at(offset));
  const std::uint64_t run_end = run.offset + run.length;
  if (run.hole) {
    const std::uint64_t whole = round_down(run_end, kSector);
    run.hole = whole > offset;
    run.length = run.hole ? whole - offset : kSector;
  } else {
    run.length = round_up(std::max(run_end, offset + 1), kSector) - offset;
  }
  run.length = std::min(run.length, end - offset);
  return run;
}

}  // namespace

RawImage::RawImage(std::unique_ptr<io::File> file, std::uint64_t virtual_size)
    : file_(std::move(file)), virtual_size_(virtual_size) {}

Result<std::unique_ptr<RawImage>> RawImage::open(std::unique_ptr<io::File> file) {
  BLOCKPULL_TRY(size, file->size());
  if (size > limits::kVirtualSize - kSector) {
    return make_error(ErrorKind::kOverflow,
                      text("file '", file->path(), "' has ", size, " bytes; the limit is ",
                           limits::kVirtualSize - kSector))
        .with_path(file->path());
  }
  return std::unique_ptr<RawImage>(new RawImage(std::move(file), round_up(size, kSector)));
}

Result<Extent> RawImage::status(GuestOffset offset, std::uint64_t length) {
  if (offset.value - last_run_.offset >= last_run_.length) {
    BLOCKPULL_TRY(run, sector_run_at(*file_, round_down(offset.value, kSector), virtual_size_));
    last_run_ = run;
  }
  Extent extent;
  extent.status = last_run_.hole ? Status::kZero : Status::kData;
  extent.length = std::min(length, last_run_.offset + last_run_.length - offset.value);
  extent.host = {last_run_.hole ? 0 : offset.value};
  return extent;
}

Result<void> RawImage::inflate(std::span<const std::byte>, std::span<std::byte>) const {
  return make_error(ErrorKind::kUnsupported,
                    text("raw image '", file_->path(), "' has no compressed clusters"))
      .with_path(file_->path());
}

}  // namespace blockpull::image
