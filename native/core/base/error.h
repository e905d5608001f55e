// SPDX-License-Identifier: Apache-2.0
//
// What went wrong, as a value.
//
//     Error = kind        a small closed set, on which programs branch
//           + message     a sentence for people: the actual value, the limit, the file, what to do
//           + origin      system call and errno, or QEMU's command, class and words; a cause
//           + context     path, offset, holder, bytes needed
//
// A new image format or driver adds no kind. libvirt's numbers are not here: the one table in
// `virt/words/error_map.h` gives each kind its libvirt code and its JavaScript code.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace blockpull {

enum class ErrorKind : std::uint8_t {
  kInvalidArgument,
  kNotFound,
  kAccessDenied,
  kReadOnly,
  kLocked,
  kJobActive,
  kNoJob,
  kNoDomain,
  kNoDisk,
  kNoBase,
  kNoSpace,
  kIo,
  kPolicy,
  kFormatUnknown,
  kFeatureUnsupported,
  kImageCorrupt,
  kChainLoop,
  kMonitorBusy,
  kMonitorLost,
  kMonitorTimeout,
  kGuestBusy,
  kQemuError,
  kOverflow,
  kUnsupported,
  kCancelled,
  kJobFailed,
  kJobVanished,
  kClosed,
};

/// Which of QEMU's commands failed, and what QEMU said.
struct QemuOrigin {
  /// "block-stream".
  std::string command;
  /// "GenericError"; empty if QEMU has not answered.
  std::string error_class;
  /// QEMU's sentence; empty if QEMU has not answered.
  std::string words;
};

struct Error {
  ErrorKind kind = ErrorKind::kIo;
  std::string message;
  /// Positive; 0 if no system call failed.
  int error_number = 0;
  /// "pwrite" for example, or empty.
  std::string system_call;
  /// Set if QEMU refused a command or did not answer it.
  std::optional<QemuOrigin> qemu = {};
  std::string path;
  /// Host offset in `path`, in bytes.
  std::optional<std::uint64_t> offset;
  /// Who holds the lock: "pid 4711 (qemu-system-x86)", or empty.
  std::string holder;
  /// For kNoSpace: about how many bytes the pull still has to write, without regard to free space;
  /// 0 if unknown.
  std::uint64_t bytes_needed = 0;
  /// What else may help, in a sentence of its own, for messages that must be libvirt's exact words;
  /// or empty.
  std::string hint;
  /// The error behind this one, if its message adds something to that one's.
  std::shared_ptr<const Error> cause = {};

  [[nodiscard]] Error with_path(std::string_view file) &&;
  [[nodiscard]] Error with_cause(Error error) &&;
};

/// An error without a system call behind it.
[[nodiscard]] Error make_error(ErrorKind kind, std::string message);

/// The system's text for `error_number`: "No such file or directory" for ENOENT.
[[nodiscard]] std::string errno_text(int error_number);

/// The error of a failed system call on `path`: the kind follows from `error_number` (ENOSPC is
/// kNoSpace, EACCES kAccessDenied, ENOENT kNotFound, …), the message is "<operation> of '<path>'
/// failed: <strerror>".
[[nodiscard]] Error system_error(std::string_view operation, int error_number,
                                 std::string_view path);

}  // namespace blockpull
