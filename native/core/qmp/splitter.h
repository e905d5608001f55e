// SPDX-License-Identifier: Apache-2.0
//
// Cuts what a monitor sends into JSON objects, wherever the reads happen to end.
//
// QMP has no lengths and no reliable line ends: a monitor with `pretty=on` spreads one object over
// many lines. What ends an object is the bracket that closes its first one, so the splitter counts
// brackets and knows strings, and nothing else of JSON:
//
//     between ──'{'──▶ inside ──last '}'──▶ between          inside: depth of { and [
//                        │ ▲                                  string: brackets do not count
//                       '"' '"'                               escape: the next byte is no quote
//                        ▼ │
//                      string ──'\'──▶ escape ──any──▶ string
//
// Between objects white space is passed over; any other byte there is no QMP, and the monitor
// cannot be understood from then on. Whether the object is JSON is for the parser to say. An object
// in one read is handed out where it lies; only one that was cut is copied.
//
// Thread rule: one thread at a time.

#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace blockpull::qmp {

/// Bytes of one object. The largest that QEMU sends is its schema, some 240 KB.
inline constexpr std::size_t kObjectBytes = std::size_t{16} << 20U;

/// Brackets within brackets; QEMU itself accepts 1024.
inline constexpr std::size_t kObjectDepth = 1024;

class Splitter {
 public:
  /// Hears each object; what it is given is valid during the call. False: no more is handed out.
  using Receiver = std::function<bool(std::string_view)>;

  /// Takes `bytes` as they came. kMonitorLost when they are no QMP (garbage between objects, an
  /// object too long or too deep); every later call fails alike.
  [[nodiscard]] Result<void> feed(std::string_view bytes, const Receiver& receive);

  /// Whether an object has begun and not ended.
  [[nodiscard]] bool is_inside() const { return depth_ > 0; }

 private:
  void take(char byte);
  [[nodiscard]] Result<void> fail(std::string_view what);

  /// The beginning of an object that an earlier read ended in.
  std::string begun_;
  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  bool failed_ = false;
};

}  // namespace blockpull::qmp
