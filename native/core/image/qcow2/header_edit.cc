// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/header_edit.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"

namespace blockpull::image::qcow2 {
namespace {

Error no_room(Qcow2Image& image, const char* for_what) {
  return make_error(ErrorKind::kFeatureUnsupported,
                    text("changing the backing file of '", image.file().path(),
                         "' is not supported: its header has no room to switch ", for_what,
                         " within one sector; nothing was written"))
      .with_path(image.file().path());
}

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

void put_bytes(std::span<std::byte> to, std::uint64_t offset, std::string_view bytes) {
  const auto from = std::as_bytes(std::span(bytes));
  std::copy(from.begin(), from.end(), to.subspan(offset).begin());
}

/// Offset of `length` free bytes in [begin, end of the cluster), without the bytes of the old name;
/// 0 if there are none.
std::uint64_t find_room(const Header& header, std::uint64_t begin, std::uint64_t length) {
  const std::uint64_t old_begin = header.backing_offset;
  const std::uint64_t old_end = old_begin + header.backing_length;
  if (old_begin != 0 && begin < old_end && begin + length > old_begin) {
    begin = old_end;
  }
  return fits(begin, length, header.cluster_size()) ? begin : 0;
}

}  // namespace

Result<HeaderEdit> HeaderEdit::plan(Qcow2Image& image,
                                    const std::optional<BackingReference>& backing) {
  HeaderEdit edit;
  BLOCKPULL_CHECK(backing ? edit.plan_replacement(image, *backing) : edit.plan_removal(image));
  return edit;
}

/// Changes the header's offset and length of the backing name.
void HeaderEdit::change_reference(std::uint64_t name_offset, std::uint64_t name_length) {
  std::vector<std::byte> bytes(12);
  put_be_at<std::uint64_t>(bytes, 0, name_offset);
  put_be_at<std::uint32_t>(bytes, 8, static_cast<std::uint32_t>(name_length));
  switch_.push_back({field::kBackingFileOffset, std::move(bytes)});
}

Result<void> HeaderEdit::plan_removal(Qcow2Image& image) {
  const Header& header = image.header();
  change_reference(0, 0);
  if (!header.has_end_marker && header.extensions_end < header.cluster_size()) {
    if (header.extensions_end + kExtensionHead > kSector) {
      return no_room(image, "the end of its extensions");
    }
    switch_.push_back({header.extensions_end, std::vector<std::byte>(kExtensionHead)});
  }
  return {};
}

Result<void> HeaderEdit::plan_replacement(Qcow2Image& image, const BackingReference& backing) {
  const Header& header = image.header();
  const Extension* const format = header.find(extension::kBackingFormat);
  // If a header states no format, the extension goes behind its other extensions.
  const std::uint64_t at = format != nullptr ? format->offset : header.extensions_end;
  const std::uint64_t added = format != nullptr ? 0 : kFormatExtension;
  const std::uint64_t extensions_end = header.extensions_end + added;
  const bool writes_marker = format == nullptr || !header.has_end_marker;
  const std::uint64_t end = writes_marker ? extensions_end + kExtensionHead : at + kFormatExtension;
  // It occupies one 8-byte unit before and after, so nothing behind it moves.
  const bool format_fits = format == nullptr || (format->length >= 1 && format->length <= 8);
  if (end > kSector || at + kFormatExtension > kSector || !format_fits) {
    return no_room(image, "the format of the new backing file");
  }
  const std::uint64_t name_at =
      find_room(header, extensions_end + kExtensionHead, backing.name.size());
  if (name_at == 0 || backing.name.size() > limits::kBackingNameBytes) {
    return no_room(image, "the name of the new backing file");
  }
  name_ = Write{name_at, copy_of(std::as_bytes(std::span(std::string_view(backing.name))))};

  change_reference(name_at, backing.name.size());
  std::vector<std::byte> extension(kFormatExtension);
  put_be_at<std::uint32_t>(extension, 0, extension::kBackingFormat);
  put_be_at<std::uint32_t>(extension, 4, static_cast<std::uint32_t>(backing.format.size()));
  put_bytes(extension, kExtensionHead, backing.format);
  switch_.push_back({at, std::move(extension)});
  if (writes_marker) {
    switch_.push_back({extensions_end, std::vector<std::byte>(kExtensionHead)});
  }
  return {};
}

Result<void> HeaderEdit::prepare(Qcow2Image& image) const {
  if (name_.bytes.empty()) {
    return {};
  }
  BLOCKPULL_CHECK(image.tables().store(name_.offset, name_.bytes));
  // If we die here, the next open sees the old header; nothing reads the bytes of the new name.
  return image.file().sync();
}

Result<void> HeaderEdit::apply(Qcow2Image& image) const {
  std::vector<std::byte> sector(kSector);
  BLOCKPULL_CHECK(image.file().read_at(0, sector));
  std::uint64_t end = 0;
  for (const Write& write : switch_) {
    std::copy(write.bytes.begin(), write.bytes.end(),
              sector.begin() + static_cast<std::ptrdiff_t>(write.offset));
    end = std::max(end, write.offset + write.bytes.size());
  }
  const auto changed = std::span(sector).first(end).subspan(field::kBackingFileOffset);
  BLOCKPULL_CHECK(image.tables().store(field::kBackingFileOffset, changed));
  // If we die here, the next open sees the old header or the new one, and both read the same bytes.
  return image.file().sync();
}

}  // namespace blockpull::image::qcow2
