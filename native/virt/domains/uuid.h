// SPDX-License-Identifier: Apache-2.0
//
// UUIDs as libvirt writes them: 36 characters, lower case. A domain that states none gets the
// version 5 UUID of its name in RFC 9562's DNS namespace. It is then the same in every process and
// on every machine, and `uuidgen --sha1 --namespace @dns --name NAME` prints it.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace blockpull::virt {

/// The canonical form of `text`: 32 hexadecimal digits of either case with hyphens anywhere between
/// them, as libvirt accepts it. Absent for anything else.
[[nodiscard]] std::optional<std::string> parse_uuid(std::string_view text);

[[nodiscard]] std::string uuid_of_name(std::string_view name);

}  // namespace blockpull::virt
