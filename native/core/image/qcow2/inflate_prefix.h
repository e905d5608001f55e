// SPDX-License-Identifier: Apache-2.0
//
// A deflate decoder (RFC 1951) that stops when its output is full. libdeflate requires the end of a
// stream. QEMU asks zlib for one cluster and takes the output, whether the stream continues, is cut
// off or becomes invalid behind it. This decoder serves the few clusters that libdeflate refuses.
// It is plain and slow, and finds errors where zlib would, up to the point at which it needs room
// for one more byte.
//
// Thread rule: any thread; the state is local to the call.

#pragma once

#include <cstddef>
#include <span>

namespace blockpull::image::qcow2 {

/// Whether the beginning of `stream` fills all of `into`.
[[nodiscard]] bool inflate_prefix(std::span<const std::byte> stream, std::span<std::byte> into);

}  // namespace blockpull::image::qcow2
