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
// cannot be understood from then on. Whether the object is JSON ("{]" is not) is for the parser to
// say. An object in one read is handed out where it lies; only one that was cut is copied.
//
// Who speaks to us may be a QEMU that its guest has taken over, so an object has three limits. The
// one for values is for the parser's sake: it makes some 900 bytes of every "{}".
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

/// Values in one object, about: its '{', '[' and ','. QEMU's schema has some 16,000.
inline constexpr std::size_t kObjectValues = std::size_t{1} << 18U;

class Splitter {
 public:
  /// Hears each object; what it is given is valid during the call. False: it has had enough, and no
  /// more is handed out; then it may also have destroyed the splitter.
  using Receiver = std::function<bool(std::string_view)>;

  /// Takes `bytes` as they came. kMonitorLost when they are no QMP (garbage between objects, an
  /// object beyond a limit); every later call fails alike, as do one after a receiver had enough
  /// and one out of a receiver.
  [[nodiscard]] Result<void> feed(std::string_view bytes, const Receiver& receive);

  /// Whether an object has begun and not ended.
  [[nodiscard]] bool is_inside() const { return depth_ > 0; }

 private:
  [[nodiscard]] Result<std::size_t> pass(std::string_view bytes, std::size_t at);
  [[nodiscard]] std::size_t pass_string(std::string_view bytes, std::size_t at);
  [[nodiscard]] bool hand_out(std::string_view rest, const Receiver& receive);
  [[nodiscard]] Result<void> fail(std::string message);

  /// The beginning of an object that an earlier read ended in.
  std::string begun_;
  std::size_t depth_ = 0;
  std::size_t values_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  /// Nothing is taken: an error, a receiver that had enough or has not returned yet.
  bool closed_ = false;
};

}  // namespace blockpull::qmp
