// SPDX-License-Identifier: Apache-2.0

#include "driver/local/move/writing.h"

namespace blockpull::driver {

bool Writing::deliver(Moving& moving) {
  while (moving.delivered.index < moving.places.size()) {
    const Place& place = moving.places[moving.delivered.index];
    const std::uint64_t done = moving.delivered.bytes;
    const std::uint64_t bytes = pacing_.take_write(place.length - done);
    if (bytes == 0) {
      return false;
    }
    moving.delivered.advance(bytes, place.length);
    transfers_.submit(moving, {.op = io::Request::Op::kWrite,
                               .file = &chain_.active().file(),
                               .offset = place.host_offset + done,
                               .buffer = moving.buffer + place.offset_in_piece + done,
                               .length = bytes,
                               .done = {}});
  }
  return true;
}

}  // namespace blockpull::driver
