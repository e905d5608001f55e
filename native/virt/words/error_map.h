// SPDX-License-Identifier: Apache-2.0
//
// Turns an Error into what the two bindings report. One table gives each kind its JavaScript code,
// its libvirt code and its libvirt error domain. Whether a program may retry depends on the
// JavaScript code alone; lib/results/errors.ts states it beside the contract of the codes.
//
// A Failure is an Error with libvirt's two numbers and, on the connection's calls, libvirt's
// wording:
//
//     report          "<prefix of the code>" + detail     most errors
//     argument check  the detail alone                    bad flags, and what the entry points
//                                                         refuse themselves
//
// Calls on bare images have no libvirt counterpart: they keep the plain sentence, with the numbers
// of the table.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/result.h"
#include "virt/words/constants.h"

namespace blockpull::virt {

/// An argument of one of libvirt's functions, by their names in C.
struct Argument {
  std::string function;
  std::string name;
};

struct Failure {
  ErrorCode code = ErrorCode::kInternalError;
  ErrorDomain domain = ErrorDomain::kNone;
  Error error;
  /// The argument that a check refused; absent in a report.
  std::optional<Argument> argument;
};

/// The Result type of everything in virt.
template <typename T>
using Result = blockpull::Result<T, Failure>;

struct Mapping {
  ErrorKind kind;
  std::string_view js_code;
  ErrorCode code;
  ErrorDomain domain;
};

[[nodiscard]] const Mapping& mapping_of(ErrorKind kind);

/// libvirt's text before the detail of such an error; empty if it has none.
[[nodiscard]] std::string_view prefix_of(ErrorCode code);

/// A libvirt "report": the prefix of `code`, then `detail`.
[[nodiscard]] Failure report(ErrorKind kind, ErrorCode code, ErrorDomain domain,
                             std::string_view detail);

/// As above, with the numbers of the table.
[[nodiscard]] Failure report(ErrorKind kind, std::string_view detail);

/// A libvirt "argument check": `message` alone. Code 8.
[[nodiscard]] Failure argument_check(ErrorDomain domain, Argument argument, std::string message);

/// An error from a lower layer, for the connection's calls: prefixed, with the numbers of the
/// table.
[[nodiscard]] Failure reported(Error error);

/// An error from a lower layer, for the image calls: its own sentence, with the numbers of the
/// table.
[[nodiscard]] Failure plain(Error error);

/// `result`; its error, if any, is made a Failure by `wrap`.
template <typename T>
[[nodiscard]] Result<T> lifted(blockpull::Result<T> result, Failure (*wrap)(Error)) {
  if (!result.ok()) {
    return wrap(std::move(result).error());
  }
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return std::move(result).value();
  }
}

}  // namespace blockpull::virt
