// SPDX-License-Identifier: Apache-2.0
//
// The parser is written by hand: the scheme, path and query of this one form need no general one.
// Anything that does not fit exactly is refused, never interpreted. Parameters other than root are
// refused by name.

#include "virt/domains/uri.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"

namespace blockpull::virt {
namespace {

constexpr std::string_view kEmbed = "qemu:///embed";

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return std::nullopt;
}

/// Absent for a broken escape or an encoded NUL.
std::optional<std::string> percent_decoded(std::string_view encoded) {
  std::string out;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] != '%') {
      out += encoded[i];
      continue;
    }
    const auto high = i + 2 < encoded.size() ? hex_digit(encoded[i + 1]) : std::nullopt;
    const auto low = i + 2 < encoded.size() ? hex_digit(encoded[i + 2]) : std::nullopt;
    if (!high || !low || (*high == 0 && *low == 0)) {
      return std::nullopt;
    }
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

Failure bad_uri(std::string detail) {
  return report(ErrorKind::kInvalidArgument, ErrorCode::kInvalidArg, ErrorDomain::kUri, detail);
}

}  // namespace

Result<std::string> parse_uri(std::string_view uri) {
  const std::string_view without_fragment = uri.substr(0, uri.find('#'));
  const std::size_t question = without_fragment.find('?');
  if (without_fragment.substr(0, question) != kEmbed) {
    return report(ErrorKind::kUnsupported, ErrorCode::kNoConnect, ErrorDomain::kNone,
                  text(uri, "; this library serves 'qemu:///embed?root=DIR'"));
  }
  std::optional<std::string> root;
  std::string_view query =
      question == std::string_view::npos ? "" : without_fragment.substr(question + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    if (key != "root") {
      return bad_uri(
          text("URI parameter '", key, "' in '", uri, "' is unknown; the only one is 'root'"));
    }
    if (root) {
      return bad_uri(text("URI '", uri, "' names root twice; name one folder"));
    }
    root = equals == std::string_view::npos ? "" : percent_decoded(pair.substr(equals + 1));
    if (!root) {
      return bad_uri(text("root in '", uri, "' has a broken percent escape; write '%' as '%25'"));
    }
  }
  if (!root) {
    return bad_uri(text("URI '", uri, "' names no folder; write 'qemu:///embed?root=DIR'"));
  }
  if (!root->starts_with('/')) {
    return bad_uri(text("root '", *root, "' in '", uri,
                        "' is not an absolute path; write one that starts with '/'"));
  }
  return *root;
}

}  // namespace blockpull::virt
