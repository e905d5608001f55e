// SPDX-License-Identifier: Apache-2.0

#include "core/image/probe.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/text.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image {
namespace {

/// "QED" and a zero byte.
constexpr std::uint32_t kQedMagic = 0x51454400;

/// The first bytes of an image of another format.
struct Beginning {
  std::string_view bytes;
  std::string_view format;
};

using namespace std::string_view_literals;

constexpr std::array<Beginning, 11> kBeginnings{{
    {"QFI\xfb"sv, "qcow2"},
    {"QED\0"sv, "qed"},
    {"KDMV"sv, "vmdk"},
    {"COWD"sv, "vmdk"},
    {"# Disk DescriptorFile"sv, "vmdk"},
    {"vhdxfile"sv, "vhdx"},
    {"conectix"sv, "vpc"},
    {"WithoutFreeSpace"sv, "parallels"},
    {"WithouFreSpacExt"sv, "parallels"},
    {"Bochs Virtual HD Image"sv, "bochs"},
    {"LUKS\xba\xbe"sv, "luks"},
}};

Result<Magic> read_magic(io::File& file) {
  std::array<std::byte, 4> first;
  BLOCKPULL_CHECK(file.read_at(0, first));
  return magic_of(first);
}

}  // namespace

std::string_view format_by_magic(std::span<const std::byte> first) {
  const auto* const known =
      std::find_if(kBeginnings.begin(), kBeginnings.end(), [first](const Beginning& beginning) {
        const auto bytes = std::as_bytes(std::span(beginning.bytes));
        return first.size() >= bytes.size() &&
               std::equal(bytes.begin(), bytes.end(), first.begin());
      });
  return known == kBeginnings.end() ? std::string_view() : known->format;
}

Magic magic_of(std::span<const std::byte> first) {
  if (first.size() < sizeof(std::uint32_t)) {
    return Magic::kNone;
  }
  switch (be_at<std::uint32_t>(first, 0)) {
    case qcow2::kMagic:
      return Magic::kQcow2;
    case kQedMagic:
      return Magic::kQed;
    default:
      return Magic::kNone;
  }
}

Result<void> refuse_qed(io::File& file) {
  BLOCKPULL_TRY(magic, read_magic(file));
  if (magic != Magic::kQed) {
    return {};
  }
  return make_error(ErrorKind::kFeatureUnsupported,
                    text("image '", file.path(),
                         "' is in QED format, which is not supported; convert it to qcow2 first"))
      .with_path(file.path());
}

Result<Format> probe_format(io::File& file) {
  BLOCKPULL_CHECK(refuse_qed(file));
  BLOCKPULL_TRY(magic, read_magic(file));
  if (magic == Magic::kQcow2) {
    return Format::kQcow2;
  }
  return make_error(ErrorKind::kFormatUnknown,
                    text("file '", file.path(),
                         "' is not a qcow2 image; if it is a raw disk, state the format 'raw'"))
      .with_path(file.path());
}

}  // namespace blockpull::image
