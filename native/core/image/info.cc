// SPDX-License-Identifier: Apache-2.0

#include "core/image/info.h"

#include <array>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/text.h"
#include "core/image/probe.h"
#include "core/image/qcow2/qcow2_image.h"
#include "core/image/raw/raw_image.h"
#include "core/io/posix_file.h"

namespace blockpull::image {
namespace {

using namespace qcow2;  // NOLINT(google-build-using-namespace)

/// QEMU's limit for the name of a file.
constexpr std::uint32_t kMaxDataFileName = 4095;

struct FeatureName {
  std::uint64_t bit;
  const char* name;
};

constexpr std::array<FeatureName, 5> kIncompatibleNames{
    {{incompatible::kDirty, "dirty"},
     {incompatible::kCorrupt, "corrupt"},
     {incompatible::kExternalData, "external-data-file"},
     {incompatible::kCompressionType, "compression-type"},
     {incompatible::kExtendedL2, "extended-l2"}}};
constexpr std::array<FeatureName, 1> kCompatibleNames{
    {{compatible::kLazyRefcounts, "lazy-refcounts"}}};
constexpr std::array<FeatureName, 2> kAutoclearNames{
    {{autoclear::kBitmaps, "bitmaps"}, {autoclear::kRawExternalData, "data-file-raw"}}};

/// Appends the names of the bits that are set.
void name_features(std::uint64_t bits, const char* kind, std::span<const FeatureName> names,
                   std::vector<std::string>& into) {
  for (const FeatureName& known : names) {
    if ((bits & known.bit) != 0) {
      into.emplace_back(known.name);
      bits &= ~known.bit;
    }
  }
  for (unsigned bit = 0; bit < 64; ++bit) {
    if (((bits >> bit) & 1U) != 0) {
      into.push_back(text(kind, " bit ", bit));
    }
  }
}

Result<std::string> data_file_name(io::File& file, const Header& header) {
  const Extension* const stated = header.find(extension::kExternalDataFile);
  if (stated == nullptr || stated->length > kMaxDataFileName) {
    return std::string();
  }
  std::vector<std::byte> bytes(stated->length);
  BLOCKPULL_CHECK(file.read_at(stated->offset + kExtensionHead, bytes));
  return string_of(bytes);
}

Result<Qcow2Info> qcow2_info(Qcow2Image& image) {
  const Header& header = image.header();
  Qcow2Info info;
  info.version = header.version;
  info.cluster_size = header.cluster_size();
  info.refcount_bits = static_cast<std::uint32_t>(header.refcount_bits());
  info.compression = header.compression == CompressionType::kZstd ? "zstd" : "zlib";
  name_features(header.incompatible, "incompatible", kIncompatibleNames, info.features);
  name_features(header.compatible, "compatible", kCompatibleNames, info.features);
  name_features(header.autoclear, "autoclear", kAutoclearNames, info.features);
  info.encryption = header.crypt_method == kLuks  ? "luks"
                    : header.crypt_method == kAes ? "aes"
                                                  : "";
  BLOCKPULL_TRY(data_file, data_file_name(image.file(), header));
  info.data_file = std::move(data_file);
  BLOCKPULL_TRY(table, read_snapshot_table(image.file(), header));
  info.snapshots = std::move(table.snapshots);
  BLOCKPULL_TRY(bitmaps, read_bitmaps(image.file(), header));
  info.bitmaps = std::move(bitmaps);
  return info;
}

}  // namespace

Result<ImageInfo> image_info(const std::string& path, std::optional<Format> format) {
  BLOCKPULL_TRY(file, io::PosixFile::open(path, io::Access::kReadOnly));
  io::PosixFile& opened = *file;
  if (!format) {
    BLOCKPULL_TRY(probed, probe_format(*file));
    format = probed;
  }
  if (*format == Format::kRaw) {
    BLOCKPULL_TRY(raw, RawImage::open(std::move(file)));
    BLOCKPULL_TRY(facts, facts_of(path, opened, *raw));
    return ImageInfo{std::move(facts), std::nullopt};
  }
  BLOCKPULL_CHECK(refuse_qed(*file));
  BLOCKPULL_TRY(image, Qcow2Image::open_metadata(std::move(file)));
  BLOCKPULL_TRY(facts, facts_of(path, opened, *image));
  BLOCKPULL_TRY(qcow2, qcow2_info(*image));
  return ImageInfo{std::move(facts), std::move(qcow2)};
}

}  // namespace blockpull::image
