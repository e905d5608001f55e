// SPDX-License-Identifier: Apache-2.0

#include "driver/local/move/reading.h"

#include <cstring>

#include "driver/local/move/inflating.h"

namespace blockpull::driver {

using image::Status;

Way::Fetch Reading::fetch(Moving& moving) {
  while (!moving.is_fetched()) {
    if (!issue(moving, moving.piece.segments[moving.fetched.index])) {
      return Way::Fetch::kLater;
    }
  }
  if (moving.under_way > 0) {
    return Way::Fetch::kUnderWay;
  }
  if (moving.piece.staging_bytes == 0 || moving.is_inflated) {
    return Way::Fetch::kDone;
  }
  moving.is_inflated = true;
  transfers_.run_blocking(moving, [&chain = chain_, &moving] {
    return inflate_segments(chain, moving.piece, moving.buffer);
  });
  return Way::Fetch::kUnderWay;
}

/// Issues one request, or handles a segment that needs none; false if the limit allows nothing now.
bool Reading::issue(Moving& moving, const Segment& segment) {
  if (segment.status == Status::kZero) {
    std::memset(moving.buffer + segment.buffer_offset, 0, segment.length);
    moving.fetched.advance(segment.length, segment.length);
    return true;
  }
  if (segment.status == Status::kCompressed) {
    return issue_compressed(moving, segment);
  }
  const std::uint64_t done = moving.fetched.bytes;
  const std::uint64_t bytes = pacing_.take_read(segment.length - done);
  if (bytes == 0) {
    return false;
  }
  tally_.add(WayKind::kBuffered, bytes);
  moving.fetched.advance(bytes, segment.length);
  transfers_.submit(moving, {.op = io::Request::Op::kRead,
                             .file = &chain_.layers[segment.layer].image->file(),
                             .offset = segment.host.value + done,
                             .buffer = moving.buffer + segment.buffer_offset + done,
                             .length = bytes,
                             .done = {}});
  return true;
}

/// Charges and counts the guest's bytes, not the fewer bytes that are read.
bool Reading::issue_compressed(Moving& moving, const Segment& segment) {
  if (!pacing_.take_whole_read(segment.length)) {
    return false;
  }
  tally_.add(WayKind::kBuffered, segment.length);
  moving.fetched.advance(segment.length, segment.length);
  if (segment.shares_staging) {
    return true;
  }
  std::byte* const staging = moving.buffer + moving.piece.buffer_bytes();
  transfers_.submit(moving, {.op = io::Request::Op::kRead,
                             .file = &chain_.layers[segment.layer].image->file(),
                             .offset = segment.host.value,
                             .buffer = staging + segment.staging_offset,
                             .length = segment.compressed_length,
                             .done = {}});
  return true;
}

}  // namespace blockpull::driver
