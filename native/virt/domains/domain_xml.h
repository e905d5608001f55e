// SPDX-License-Identifier: Apache-2.0
//
// A domain as this library sees it, and how it is read from libvirt XML.
//
//     domain ─ name, uuid
//            └ devices/disk@type ─ driver@type, source@file (dev, dir, name, volume, path),
//                                  target@dev@bus, transient, backingStore ─ format@type, source,
//                                                                            backingStore ─ …
//
// Everything else in the XML is left alone: the text itself stays the domain's definition. A
// backing chain stated in the XML is not believed (headers decide), but for the formats of files
// that no header states; `xml_rewrite.h` keeps it in step after a pull.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/image/layer_formats.h"
#include "virt/words/error_map.h"

namespace blockpull::virt {

/// Bytes of XML that are read. Definitions have tens of kilobytes; libvirt's own messages end at 4
/// MiB.
inline constexpr std::uint64_t kXmlBytes = 4U << 20U;

struct Disk {
  /// "vda".
  std::string target;
  /// Path of the active layer, or another kind of source as it stands; empty for an empty drive.
  std::string source;
  /// "qcow2"; empty when the XML states none.
  std::string format;
  /// libvirt's disk type, "file" or "network" for example.
  std::string type = "file";
  /// What is said of layers below it, wherever it stands: <backingStore>'s formats by their files.
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

/// `origin` names the XML in messages: the path of its file in quotes, or what it came as.
[[nodiscard]] Result<Domain> parse_domain_xml(std::string_view xml, std::string_view origin);

/// The least XML that describes `domain`, for domains that were described without any.
[[nodiscard]] std::string format_domain_xml(const Domain& domain);

/// Whether a domain may have this name: it is a file name too.
[[nodiscard]] bool is_domain_name(std::string_view name);

}  // namespace blockpull::virt
