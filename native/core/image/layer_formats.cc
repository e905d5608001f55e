// SPDX-License-Identifier: Apache-2.0

#include "core/image/layer_formats.h"

#include <array>
#include <string_view>
#include <utility>

#include "core/base/text.h"
#include "core/image/probe.h"

namespace blockpull::image {
namespace {

Error contradiction(const std::string& path, const FileFormat& one, const FileFormat& other) {
  return make_error(ErrorKind::kInvalidArgument,
                    text("format of '", path, "' is stated twice, as '", one.format, "' for '",
                         one.path, "' and as '", other.format, "' for '", other.path,
                         "', which is the same file; remove the wrong one"));
}

/// The entry of the list for the file; nullptr if there is none.
Result<const FileFormat*> find(const std::vector<FileFormat>& stated, const io::PosixFile& file) {
  const FileFormat* found = nullptr;
  for (const FileFormat& candidate : stated) {
    if (!io::leads_to(candidate.path, file.id())) {
      continue;
    }
    if (found != nullptr && found->format != candidate.format) {
      return contradiction(file.path(), *found, candidate);
    }
    found = &candidate;
  }
  return found;
}

/// Refuses raw for a file that begins like an image of another format.
Result<void> check_is_raw(io::PosixFile& file) {
  std::array<std::byte, kMagicBytes> first{};
  BLOCKPULL_CHECK(file.read_at(0, first));
  const std::string_view other = format_by_magic(first);
  if (other.empty()) {
    return {};
  }
  return make_error(ErrorKind::kFormatUnknown,
                    text("it starts like an image of format '", other,
                         "' but is declared raw; if it is raw, state that for the file "
                         "(backingFormats, --backing-format FILE=raw)"));
}

}  // namespace

Result<Format> LayerFormats::format_of(io::PosixFile& file) {
  BLOCKPULL_TRY(own, find(stated_.by_caller, file));
  BLOCKPULL_TRY(described, find(stated_.by_domain, file));
  if (own != nullptr && described != nullptr && own->format != described->format) {
    return contradiction(file.path(), *own, *described);
  }
  if (own == nullptr && described == nullptr) {
    return for_one_layer(file);
  }
  BLOCKPULL_TRY(format, parse_format(own != nullptr ? own->format : described->format));
  if (format == Format::kRaw && own == nullptr) {
    BLOCKPULL_CHECK(check_is_raw(file));
  }
  return format;
}

Result<Format> LayerFormats::for_one_layer(io::PosixFile& file) {
  if (!stated_.for_one_layer) {
    return make_error(
        ErrorKind::kFormatUnknown,
        "header of its overlay states no format for it, and formats are never guessed; state it "
        "for that file (backingFormats, --backing-format FILE=FORMAT), or "
        "in the domain's XML (<backingStore>)");
  }
  if (!one_layer_.empty()) {
    return make_error(
        ErrorKind::kFormatUnknown,
        text("headers state no format for it, nor for '", one_layer_,
             "'; a format without a file is not enough for two layers: state it for each file "
             "(backingFormats, --backing-format FILE=FORMAT)"));
  }
  if (*stated_.for_one_layer == Format::kRaw) {
    BLOCKPULL_CHECK(check_is_raw(file));
  }
  one_layer_ = file.path();
  return *stated_.for_one_layer;
}

}  // namespace blockpull::image
