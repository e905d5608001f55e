// SPDX-License-Identifier: Apache-2.0
//
// A domain as this library sees it, and how it is read from libvirt XML.
//
//     domain ─ name, uuid
//            └ devices/disk@type ─ driver@type, source@file (dev, dir, name, volume, path),
//                                  target@dev@bus, transient, backingStore ─ format@type, source,
//                                                                            backingStore ─ …
//
// Everything else in the XML is ignored: the text itself stays the domain's definition. A backing
// chain stated in the XML is not trusted, since image headers decide. The exception is the formats
// of files whose format no header states. `xml_rewrite.h` updates the stated chain after a pull.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/image/layer_formats.h"
#include "virt/words/error_map.h"

namespace blockpull::virt {

/// The most bytes of XML that are read. Definitions have tens of kilobytes; libvirt's own messages
/// end at 4 MiB.
inline constexpr std::uint64_t kXmlBytes = 4U << 20U;

struct Disk {
  /// "vda".
  std::string target;
  /// Path of the active layer, or the name of another kind of source; empty for an empty drive.
  std::string source;
  /// "qcow2"; empty when the XML states none.
  std::string format;
  /// libvirt's disk type, "file" or "network" for example.
  std::string type = "file";
  /// The formats that <backingStore>, at any depth, states for the layers below, by their files.
  std::vector<image::FileFormat> backing_formats = {};
  /// "virtio", "sd"; may be empty.
  std::string bus;
  bool transient = false;
};

struct Domain {
  std::string name;
  /// 36 characters, lower case.
  std::string uuid;
  std::vector<Disk> disks;
};

/// `origin` names the XML in messages: the path of its file in quotes, or where the text came from.
[[nodiscard]] Result<Domain> parse_domain_xml(std::string_view xml, std::string_view origin);

/// The smallest XML that describes `domain`, for domains that were described without XML.
[[nodiscard]] std::string format_domain_xml(const Domain& domain);

/// Whether a domain may have this name, which is also a file name.
[[nodiscard]] bool is_domain_name(std::string_view name);

}  // namespace blockpull::virt
