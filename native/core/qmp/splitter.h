// SPDX-License-Identifier: Apache-2.0
//
// Cuts the byte stream of a monitor into JSON objects, wherever the reads happen to end.
//
// QMP has no lengths and no reliable line ends: a monitor with `pretty=on` spreads one object over
// many lines. An object ends at the bracket that closes its first one. So the splitter counts
// brackets and recognizes strings, and knows nothing else of JSON:
//
//     between ──'{'──▶ inside ──last '}'──▶ between          inside: depth of { and [
//                        │ ▲                                  string: brackets do not count
//                       '"' '"'                               escape: the next byte is no quote
//                        ▼ │
//                      string ──'\'──▶ escape ──any──▶ string
//
// White space between objects is skipped. Any other byte there is not QMP, and the monitor cannot
// be understood from then on. The parser decides whether the object is JSON ("{]" is not). An
// object within one read is handed out without a copy; only an object that was cut is copied.
//
// The peer may be a QEMU that its guest has taken over, so an object has three limits. The limit on
// values protects the parser, which allocates some 900 bytes for every "{}".
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

/// Values in one object, approximately: its '{', '[' and ','. QEMU's schema has some 16,000.
inline constexpr std::size_t kObjectValues = std::size_t{1} << 18U;

class Splitter {
 public:
  /// Receives each object; the view is valid during the call. False: it needs no more objects, and
  /// may have destroyed the splitter.
  using Receiver = std::function<bool(std::string_view)>;

  /// Takes `bytes` as they were received. kMonitorLost if they are not QMP: garbage between
  /// objects, or an object beyond a limit. Every later call then fails too. So does a call after a
  /// receiver returned false, and a call from within a receiver.
  [[nodiscard]] Result<void> feed(std::string_view bytes, const Receiver& receive);

  /// Whether an object has started and not ended.
  [[nodiscard]] bool is_inside() const { return depth_ > 0; }

 private:
  [[nodiscard]] Result<std::size_t> pass(std::string_view bytes, std::size_t at);
  [[nodiscard]] std::size_t pass_string(std::string_view bytes, std::size_t at);
  [[nodiscard]] bool hand_out(std::string_view rest, const Receiver& receive);
  [[nodiscard]] Result<void> fail(std::string message);

  /// The bytes of an unfinished object from earlier reads.
  std::string begun_;
  std::size_t depth_ = 0;
  std::size_t values_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  /// Nothing is accepted: after an error, after a receiver returned false, and while a receiver
  /// runs.
  bool closed_ = false;
};

}  // namespace blockpull::qmp
