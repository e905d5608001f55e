// SPDX-License-Identifier: Apache-2.0
//
// The qcow2 format as numbers: header fields, feature bits, table entries. Names and sections are
// those of QEMU's docs/interop/qcow2.txt.
//
//     cluster 0        header │ extensions … end │ backing file name
//     L1 table         one 8-byte entry per L2 table; where: header field l1_table_offset
//     L2 tables        one cluster each, one 8-byte entry per guest cluster
//     refcount table   one 8-byte entry per refcount block
//     refcount blocks  one cluster each, one entry of 1 … 64 bits per host cluster
//
//     L1 entry     63 copied │ 62…56 reserved │ 55…9 offset of the L2 table, 0: none │ 8…0 reserved
//     L2 entry     63 copied │ 62 compressed, then
//       62 = 0     61…56 reserved │ 55…9 host offset │ 8…1 reserved │ 0 zero (version 3)
//       62 = 1     x = 62 - (cluster_bits - 8): 61…x more 512-byte sectors │ x-1…0 byte offset
//     extended L2  the entry without bit 0, then one bit of each kind per 32nd of a cluster:
//                  63…32 reads as zeros │ 31…0 allocated
//
// "copied" is set exactly if the refcount of the cluster that the entry points to is 1.

#pragma once

#include <cstddef>
#include <cstdint>

namespace blockpull::image::qcow2 {

inline constexpr std::uint32_t kMagic = 0x514649fb;

/// Header fields by offset (section "Header"); all big-endian.
namespace field {
inline constexpr std::size_t kMagic = 0;
inline constexpr std::size_t kVersion = 4;
inline constexpr std::size_t kBackingFileOffset = 8;
inline constexpr std::size_t kBackingFileSize = 16;
inline constexpr std::size_t kClusterBits = 20;
inline constexpr std::size_t kVirtualSize = 24;
inline constexpr std::size_t kCryptMethod = 32;
inline constexpr std::size_t kL1Size = 36;
inline constexpr std::size_t kL1TableOffset = 40;
inline constexpr std::size_t kRefcountTableOffset = 48;
inline constexpr std::size_t kRefcountTableClusters = 56;
inline constexpr std::size_t kSnapshotCount = 60;
inline constexpr std::size_t kSnapshotsOffset = 64;
inline constexpr std::size_t kIncompatibleFeatures = 72;
inline constexpr std::size_t kCompatibleFeatures = 80;
inline constexpr std::size_t kAutoclearFeatures = 88;
inline constexpr std::size_t kRefcountOrder = 96;
inline constexpr std::size_t kHeaderLength = 100;
inline constexpr std::size_t kCompressionType = 104;
}  // namespace field

inline constexpr std::size_t kV2HeaderLength = 72;
inline constexpr std::size_t kV3MinHeaderLength = 104;
/// What QEMU writes for version 3.
inline constexpr std::size_t kV3HeaderLength = 112;

/// Extra data of a snapshot's entry (QEMU's bound).
inline constexpr std::uint32_t kMaxExtraBytes = 1024;

namespace incompatible {
inline constexpr std::uint64_t kDirty = 1U << 0U;
inline constexpr std::uint64_t kCorrupt = 1U << 1U;
inline constexpr std::uint64_t kExternalData = 1U << 2U;
inline constexpr std::uint64_t kCompressionType = 1U << 3U;
inline constexpr std::uint64_t kExtendedL2 = 1U << 4U;
inline constexpr std::uint64_t kKnown = 0x1f;
}  // namespace incompatible

namespace compatible {
inline constexpr std::uint64_t kLazyRefcounts = 1U << 0U;
}  // namespace compatible

namespace autoclear {
inline constexpr std::uint64_t kBitmaps = 1U << 0U;
inline constexpr std::uint64_t kRawExternalData = 1U << 1U;
inline constexpr std::uint64_t kKnown = 0x3;
}  // namespace autoclear

/// Header extension types (section "Header extensions").
namespace extension {
inline constexpr std::uint32_t kEnd = 0;
inline constexpr std::uint32_t kBackingFormat = 0xe2792aca;
inline constexpr std::uint32_t kFeatureNames = 0x6803f857;
inline constexpr std::uint32_t kBitmaps = 0x23852875;
inline constexpr std::uint32_t kEncryption = 0x0537be77;
inline constexpr std::uint32_t kExternalDataFile = 0x44415441;
}  // namespace extension

inline constexpr std::uint64_t kCopied = std::uint64_t{1} << 63U;
inline constexpr std::uint64_t kCompressed = std::uint64_t{1} << 62U;
inline constexpr std::uint64_t kZero = 1;
inline constexpr std::uint64_t kOffsetMask = 0x00fffffffffffe00;
inline constexpr std::uint64_t kL1Reserved = 0x7f000000000001ff;
inline constexpr std::uint64_t kL2Reserved = 0x3f000000000001fe;
inline constexpr std::uint64_t kRefcountTableOffsetMask = ~std::uint64_t{0x1ff};

inline constexpr std::size_t kEntryBytes = 8;
inline constexpr std::size_t kExtendedEntryBytes = 16;
inline constexpr std::uint32_t kSubclusters = 32;

/// The part of an extension before its data: type and length. The end marker is such a part of
/// zeros.
inline constexpr std::size_t kExtensionHead = 8;
/// The size of the backing format extension as we write it: all our format names fit into 8 bytes.
inline constexpr std::size_t kFormatExtension = kExtensionHead + 8;

/// Values of crypt_method; 0 is none. LUKS has an extension.
inline constexpr std::uint32_t kLuks = 2;
inline constexpr std::uint32_t kAes = 1;

enum class CompressionType : std::uint8_t { kDeflate = 0, kZstd = 1 };

}  // namespace blockpull::image::qcow2
