// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/feature_bits.h"

#include "core/base/bytes.h"

namespace blockpull::image::qcow2 {
namespace {

Result<void> store(Qcow2Image& image, std::size_t field, std::uint64_t bits) {
  std::byte bytes[8];
  store_be<std::uint64_t>(bytes, bits);
  BLOCKPULL_CHECK(image.tables().store(field, bytes));
  // If we die here, the next open sees the bits set or cleared, and nothing else changed.
  return image.file().sync();
}

}  // namespace

Result<void> clear_unknown_autoclear(Qcow2Image& image) {
  Header& header = image.mutable_header();
  if ((header.autoclear & ~autoclear::kKnown) == 0) {
    return {};
  }
  header.autoclear &= autoclear::kKnown;
  return store(image, field::kAutoclearFeatures, header.autoclear);
}

Result<void> clear_damage_bits(Qcow2Image& image) {
  Header& header = image.mutable_header();
  constexpr std::uint64_t kDamage = incompatible::kDirty | incompatible::kCorrupt;
  if ((header.incompatible & kDamage) == 0) {
    return {};
  }
  header.incompatible &= ~kDamage;
  return store(image, field::kIncompatibleFeatures, header.incompatible);
}

}  // namespace blockpull::image::qcow2
