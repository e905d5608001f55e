// SPDX-License-Identifier: Apache-2.0

#include "core/image/probe.h"

#include <array>

#include "core/base/bytes.h"
#include "core/base/text.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image {
namespace {

/// "QED" and a zero byte.
constexpr std::uint32_t kQedMagic = 0x51454400;

Result<Magic> read_magic(io::File& file) {
  std::array<std::byte, 4> first;
  BLOCKPULL_CHECK(file.read_at(0, first));
  return magic_of(first);
}

}  // namespace

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
                         "' is no qcow2 image; if it is a raw disk, say so with the format 'raw'"))
      .with_path(file.path());
}

}  // namespace blockpull::image
