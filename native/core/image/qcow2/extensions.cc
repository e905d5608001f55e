// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/extensions.h"

#include <algorithm>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::size_t kFeatureRecord = 48;
constexpr std::uint32_t kBitmapsBytes = 24;
constexpr std::uint32_t kEncryptionBytes = 16;
/// LUKS 1 takes about 2 MiB for its eight keys.
constexpr std::uint64_t kMaxEncryptionHeader = 64 * limits::kMiB;
constexpr std::uint32_t kMaxBitmaps = 65535;
/// A directory entry is at most 1 KiB.
constexpr std::uint64_t kMaxBitmapDirectory = 1024 * std::uint64_t{kMaxBitmaps};

Error corrupt(const std::string& path, std::string message) {
  return make_error(ErrorKind::kImageCorrupt, std::move(message)).with_path(path);
}

/// Up to the first NUL.
std::string text_of(std::span<const std::byte> bytes) {
  const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
  return string_of(bytes.first(static_cast<std::size_t>(end - bytes.begin())));
}

Result<void> read_bitmaps_extension(Header& header, std::span<const std::byte> data,
                                    const std::string& path) {
  if (data.size() != kBitmapsBytes) {
    return corrupt(path, text("bitmaps extension in '", path, "' has ", data.size(),
                              " bytes; it must have ", kBitmapsBytes));
  }
  if ((header.autoclear & autoclear::kBitmaps) == 0) {
    return {};
  }
  const auto count = be_at<std::uint32_t>(data, 0);
  if (count == 0 || count > kMaxBitmaps) {
    return corrupt(path, text("bitmaps extension in '", path, "' has ", count,
                              " bitmaps; supported range is 1 to ", kMaxBitmaps));
  }
  if (be_at<std::uint32_t>(data, 4) != 0) {
    return corrupt(path, text("reserved field of the bitmaps extension in '", path, "' is ",
                              be_at<std::uint32_t>(data, 4), "; it must be 0"));
  }
  const auto size = be_at<std::uint64_t>(data, 8);
  if (size == 0 || size > kMaxBitmapDirectory) {
    return corrupt(path, text("bitmap directory in '", path, "' has ", size,
                              " bytes; supported range is 1 to ", kMaxBitmapDirectory));
  }
  const auto offset = be_at<std::uint64_t>(data, 16);
  if (offset == 0 || !is_aligned(offset, header.cluster_size())) {
    return corrupt(path, text("bitmap directory in '", path, "' begins at ", offset,
                              "; it must begin at a multiple of ", header.cluster_size()));
  }
  header.bitmaps = BitmapDirectory{count, offset, size};
  return {};
}

Result<void> read_encryption_extension(Header& header, std::span<const std::byte> data,
                                       const std::string& path) {
  if (header.crypt_method != kLuks) {
    return corrupt(path, text("encryption extension in '", path, "' requires crypt_method ",
                              header.crypt_method, "; it belongs to ", kLuks));
  }
  if (data.size() != kEncryptionBytes) {
    return corrupt(path, text("encryption extension in '", path, "' has ", data.size(),
                              " bytes; it must have ", kEncryptionBytes));
  }
  const auto offset = be_at<std::uint64_t>(data, 0);
  if (!is_aligned(offset, header.cluster_size())) {
    return corrupt(path, text("encryption header in '", path, "' begins at ", offset,
                              "; it must begin at a multiple of ", header.cluster_size()));
  }
  const auto bytes = be_at<std::uint64_t>(data, 8);
  if (bytes > kMaxEncryptionHeader) {
    return corrupt(path, text("encryption header in '", path, "' has ", bytes,
                              " bytes; the limit is ", kMaxEncryptionHeader));
  }
  header.encryption = EncryptionHeader{offset, bytes};
  return {};
}

Result<void> read_backing_format(Header& header, std::span<const std::byte> data,
                                 const std::string& path) {
  if (data.size() > limits::kBackingFormatBytes) {
    return corrupt(path, text("backing format in '", path, "' has ", data.size(),
                              " bytes; the limit is ", limits::kBackingFormatBytes));
  }
  if (header.backing) {
    header.backing->format = text_of(data);
  }
  return {};
}

bool is_known(std::uint32_t type) {
  return type == extension::kBackingFormat || type == extension::kFeatureNames ||
         type == extension::kBitmaps || type == extension::kEncryption ||
         type == extension::kExternalDataFile;
}

Result<void> read_one(Header& header, const Extension& extension, std::span<const std::byte> data,
                      const std::string& path) {
  // find() returns the first extension of its type.
  if (is_known(extension.type) && header.find(extension.type) != &extension) {
    return corrupt(path, text("header extension ", Hex{extension.type}, " in '", path,
                              "' occurs more than once"));
  }
  switch (extension.type) {
    case extension::kBackingFormat:
      return read_backing_format(header, data, path);
    case extension::kBitmaps:
      return read_bitmaps_extension(header, data, path);
    case extension::kEncryption:
      return read_encryption_extension(header, data, path);
    default:
      return {};
  }
}

}  // namespace

std::span<const std::byte> extension_data(const Extension& extension,
                                          std::span<const std::byte> first) {
  return first.subspan(extension.offset + kExtensionHead, extension.length);
}

Result<void> find_extensions(Header& header, std::span<const std::byte> first,
                             const std::string& path) {
  const std::uint64_t area_end =
      header.backing_offset != 0 ? header.backing_offset : header.cluster_size();
  if (area_end > first.size()) {
    return corrupt(path, text("file '", path, "' is cut short: its header reaches to ", area_end,
                              ", the file has ", first.size(), " bytes"));
  }
  std::uint64_t offset = header.header_length;
  while (offset < area_end) {
    const std::uint64_t left = area_end - offset;
    const std::uint64_t length =
        left < kExtensionHead ? 0 : be_at<std::uint32_t>(first, offset + 4);
    if (left < kExtensionHead || length > left - kExtensionHead) {
      return corrupt(path, text("header extension at ", offset, " in '", path, "' has ", length,
                                " bytes; its area ends at ", area_end));
    }
    const auto type = be_at<std::uint32_t>(first, offset);
    if (type == extension::kEnd) {
      header.has_end_marker = true;
      break;
    }
    header.extensions.push_back({type, offset, static_cast<std::uint32_t>(length)});
    offset += kExtensionHead + round_up(length, 8);
  }
  header.extensions_end = offset;
  return {};
}

Result<void> read_extensions(Header& header, std::span<const std::byte> first,
                             const std::string& path) {
  for (const Extension& extension : header.extensions) {
    BLOCKPULL_CHECK(read_one(header, extension, extension_data(extension, first), path));
  }
  return {};
}

std::string incompatible_feature_name(const Header& header, std::span<const std::byte> first,
                                      unsigned bit) {
  const Extension* const table = header.find(extension::kFeatureNames);
  if (table == nullptr) {
    return {};
  }
  std::span<const std::byte> records = extension_data(*table, first);
  for (; records.size() >= kFeatureRecord; records = records.subspan(kFeatureRecord)) {
    const bool is_incompatible = records[0] == std::byte{0};
    if (is_incompatible && records[1] == static_cast<std::byte>(bit)) {
      std::string name = text_of(records.subspan(2, kFeatureRecord - 2));
      std::erase_if(name, [](char c) { return c < ' ' || c > '~'; });
      return name;
    }
  }
  return {};
}

}  // namespace blockpull::image::qcow2
