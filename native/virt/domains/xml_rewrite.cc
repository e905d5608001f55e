// SPDX-License-Identifier: Apache-2.0
//
// pugixml gives the offset where an element's name begins in the text, but not where the element
// ends. A small scanner finds the end. It knows where a '<' or '>' is not markup: in comments,
// CDATA sections, processing instructions and quoted attribute values. It runs only over text that
// pugixml has accepted.

#include "virt/domains/xml_rewrite.h"

#include <cstddef>
#include <utility>

#include <sys/stat.h>

#include <pugixml.hpp>

#include "core/base/text.h"

namespace blockpull::virt {
namespace {

struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// The offset behind the '>' of the tag that begins at `at`; quoted values are skipped.
std::size_t tag_end(std::string_view xml, std::size_t at) {
  char quote = 0;
  for (; at < xml.size(); ++at) {
    const char c = xml[at];
    if (quote != 0) {
      quote = c == quote ? '\0' : quote;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '>') {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

std::size_t past(std::string_view xml, std::size_t at, std::string_view mark) {
  const std::size_t found = xml.find(mark, at);
  return found == std::string_view::npos ? found : found + mark.size();
}

/// The offset behind the element whose '<' is at `at`; npos if the text is not well-formed.
std::size_t element_end(std::string_view xml, std::size_t at) {
  std::size_t depth = 0;
  while (at < xml.size()) {
    const std::string_view rest = xml.substr(at);
    if (rest.starts_with("<!--")) {
      at = past(xml, at, "-->");
    } else if (rest.starts_with("<![CDATA[")) {
      at = past(xml, at, "]]>");
    } else if (rest.starts_with("<?")) {
      at = past(xml, at, "?>");
    } else {
      const std::size_t end = tag_end(xml, at);
      if (end == std::string_view::npos) {
        return end;
      }
      const bool is_closing = rest.starts_with("</");
      const bool is_empty = xml[end - 2] == '/';
      depth = is_closing ? depth - 1 : depth + (is_empty ? 0U : 1U);
      if (depth == 0) {
        return end;
      }
      at = end;
    }
    at = at == std::string_view::npos ? at : xml.find('<', at);
  }
  return std::string_view::npos;
}

/// The byte range of `node` in `xml`.
blockpull::Result<Span> span_of(std::string_view xml, const pugi::xml_node& node) {
  const std::ptrdiff_t name_at = node.offset_debug();
  if (name_at > 0 && static_cast<std::size_t>(name_at) < xml.size()) {
    const Span span{static_cast<std::size_t>(name_at) - 1,
                    element_end(xml, static_cast<std::size_t>(name_at) - 1)};
    if (span.end != std::string_view::npos && xml[span.begin] == '<') {
      return span;
    }
  }
  return make_error(ErrorKind::kInvalidArgument,
                    text("element <", node.name(), "> has no end that can be found in the text"));
}

pugi::xml_node find_disk(const pugi::xml_document& document, const DiskBacking& wanted) {
  for (const pugi::xml_node& disk : document.child("domain").child("devices").children("disk")) {
    if (wanted.target == disk.child("target").attribute("dev").value()) {
      return wanted.source == disk.child("source").attribute("file").value() ? disk
                                                                             : pugi::xml_node();
    }
  }
  return {};
}

/// A header often names a file through its own folder ('/v/a/../base') or through a symbolic link.
/// If one of the files cannot be examined from here, only equal names count as one file.
bool is_one_file(const std::string& name, const std::string& other) {
  struct stat about {};
  struct stat of_other {};
  return name == other ||
         (::stat(name.c_str(), &about) == 0 && ::stat(other.c_str(), &of_other) == 0 &&
          about.st_dev == of_other.st_dev && about.st_ino == of_other.st_ino);
}

/// The stated element, at any depth, that describes the file at `path`.
pugi::xml_node find_stated(pugi::xml_node store, const std::string& path) {
  while (store && !is_one_file(path, store.child("source").attribute("file").value())) {
    store = store.child("backingStore");
  }
  return store;
}

std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '\'':
        out += "&apos;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// An element for a layer that the XML does not describe. It states nothing about what lies below.
std::string describe(const driver::KeptLayer& layer) {
  return text("<backingStore type='file'><format type='", escaped(layer.format),
              "'/><source file='", escaped(layer.path), "'/></backingStore>");
}

/// Whether the XML states layers above the one that is now below the disk.
bool states_more(const pugi::xml_node& store, const DiskBacking& disk) {
  if (!disk.backing) {
    return true;
  }
  const pugi::xml_node stated = find_stated(store, disk.backing->path);
  return stated && stated != store;
}

blockpull::Result<std::string> replacement_for(std::string_view xml, const pugi::xml_node& store,
                                               const DiskBacking& disk) {
  if (!disk.backing) {
    return std::string("<backingStore/>");
  }
  const pugi::xml_node stated = find_stated(store, disk.backing->path);
  if (!stated) {
    return describe(*disk.backing);
  }
  BLOCKPULL_TRY(span, span_of(xml, stated));
  return std::string(xml.substr(span.begin, span.end - span.begin));
}

}  // namespace

blockpull::Result<std::optional<std::string>> rewrite_backing_store(std::string_view xml,
                                                                    const DiskBacking& disk) {
  pugi::xml_document document;
  const auto parsed =
      document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!parsed) {
    return make_error(ErrorKind::kInvalidArgument, text("domain XML cannot be parsed at byte ",
                                                        parsed.offset, ": ", parsed.description()));
  }
  const pugi::xml_node store = find_disk(document, disk).child("backingStore");
  const bool is_empty = store && !store.first_child() && !store.first_attribute();
  if (!store || (is_empty && !disk.backing) || (disk.only_drops && !states_more(store, disk))) {
    return std::optional<std::string>();
  }
  BLOCKPULL_TRY(span, span_of(xml, store));
  BLOCKPULL_TRY(replacement, replacement_for(xml, store, disk));
  if (replacement == xml.substr(span.begin, span.end - span.begin)) {
    return std::optional<std::string>();
  }
  return std::optional(text(xml.substr(0, span.begin), replacement, xml.substr(span.end)));
}

}  // namespace blockpull::virt
