// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes domain XML with pugixml, which expands no external entities and fetches nothing.

#include "virt/domains/domain_xml.h"

#include <array>
#include <utility>

#include <pugixml.hpp>

#include "core/base/text.h"
#include "virt/domains/uuid.h"

namespace blockpull::virt {
namespace {

Failure bad_xml(std::string detail) {
  return report(ErrorKind::kInvalidArgument, ErrorCode::kXmlError, ErrorDomain::kPublic, detail);
}

/// The name in <source>; which attribute holds it depends on the disk's type.
std::string source_of(const pugi::xml_node& disk) {
  const pugi::xml_node source = disk.child("source");
  constexpr std::array<const char*, 6> kAttributes{"file", "dev", "dir", "name", "volume", "path"};
  for (const char* const attribute : kAttributes) {
    const std::string value = source.attribute(attribute).value();
    if (!value.empty()) {
      return value;
    }
  }
  return {};
}

/// The formats of all layers that state both a file and a format.
std::vector<image::FileFormat> backing_formats_of(const pugi::xml_node& disk) {
  std::vector<image::FileFormat> formats;
  for (pugi::xml_node store = disk.child("backingStore"); store;
       store = store.child("backingStore")) {
    const std::string format = store.child("format").attribute("type").value();
    const pugi::xml_node source = store.child("source");
    for (const char* const attribute : {"file", "dev"}) {
      const std::string path = source.attribute(attribute).value();
      if (path.starts_with('/') && !format.empty()) {
        formats.push_back({path, format});
      }
    }
  }
  return formats;
}

Disk read_disk(const pugi::xml_node& node) {
  Disk disk;
  disk.target = node.child("target").attribute("dev").value();
  disk.bus = node.child("target").attribute("bus").value();
  disk.source = source_of(node);
  disk.format = node.child("driver").attribute("type").value();
  disk.type = node.attribute("type").as_string("file");
  disk.transient = static_cast<bool>(node.child("transient"));
  disk.backing_formats = backing_formats_of(node);
  return disk;
}

Result<std::string> read_uuid(const pugi::xml_node& root, const std::string& name,
                              std::string_view origin) {
  const pugi::xml_node node = root.child("uuid");
  if (!node) {
    return uuid_of_name(name);
  }
  const std::string stated = node.text().as_string();
  auto uuid = parse_uuid(stated);
  if (!uuid) {
    return bad_xml(text("uuid '", stated, "' in ", origin, " is malformed; write 32 hex digits"));
  }
  return *std::move(uuid);
}

}  // namespace

bool is_domain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 250 &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos &&
         name.find('\n') == std::string_view::npos;
}

Result<Domain> parse_domain_xml(std::string_view xml, std::string_view origin) {
  pugi::xml_document document;
  const auto parsed =
      document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!parsed) {
    return bad_xml(
        text(origin, " cannot be parsed at byte ", parsed.offset, ": ", parsed.description()));
  }
  const pugi::xml_node root = document.child("domain");
  if (!root) {
    return bad_xml(text(origin, " has no <domain> element; write libvirt's domain XML"));
  }
  Domain domain;
  domain.name = root.child("name").text().as_string();
  if (!is_domain_name(domain.name)) {
    return bad_xml(text("name '", domain.name, "' in ", origin,
                        " is not a domain name; write up to 250 characters without '/'"));
  }
  BLOCKPULL_TRY(uuid, read_uuid(root, domain.name, origin));
  domain.uuid = std::move(uuid);
  for (const pugi::xml_node& node : root.child("devices").children("disk")) {
    Disk disk = read_disk(node);
    if (disk.target.empty()) {
      return bad_xml(text("disk without <target dev> in ", origin, "; every disk needs one"));
    }
    domain.disks.push_back(std::move(disk));
  }
  return domain;
}

std::string format_domain_xml(const Domain& domain) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("domain");
  root.append_attribute("type").set_value("qemu");
  root.append_child("name").text().set(domain.name.c_str());
  root.append_child("uuid").text().set(domain.uuid.c_str());
  pugi::xml_node devices = root.append_child("devices");
  for (const Disk& disk : domain.disks) {
    pugi::xml_node node = devices.append_child("disk");
    node.append_attribute("type").set_value("file");
    node.append_attribute("device").set_value("disk");
    pugi::xml_node driver = node.append_child("driver");
    driver.append_attribute("name").set_value("qemu");
    driver.append_attribute("type").set_value(disk.format.c_str());
    node.append_child("source").append_attribute("file").set_value(disk.source.c_str());
    node.append_child("target").append_attribute("dev").set_value(disk.target.c_str());
  }

  struct Text final : pugi::xml_writer {
    std::string out;

    void write(const void* bytes, std::size_t size) override {
      out.append(static_cast<const char*>(bytes), size);
    }
  } writer;

  document.save(writer, "  ", pugi::format_default | pugi::format_no_declaration,
                pugi::encoding_utf8);
  return std::move(writer.out);
}

}  // namespace blockpull::virt
