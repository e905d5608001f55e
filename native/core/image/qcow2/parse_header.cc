// SPDX-License-Identifier: Apache-2.0
//
// Fields are copied first and checked afterwards, each check with its own sentence. The order
// matters in two places. cluster_bits comes before everything that is measured in clusters. Unknown
// incompatible bits come before every field whose meaning they could change.

#include "core/image/qcow2/parse_header.h"

#include <algorithm>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/qcow2/extensions.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::uint32_t kMaxRefcountOrder = 6;
constexpr std::uint32_t kMinExtendedClusterBits = 14;

/// Checks one header. Each check covers one group of fields.
class Judge {
 public:
  Judge(Header& header, std::span<const std::byte> first, std::uint64_t file_size,
        const std::string& path)
      : header_(header), first_(first), file_size_(file_size), path_(path) {}

  Result<void> run() {
    BLOCKPULL_CHECK(check_sizes());
    BLOCKPULL_CHECK(read_backing());
    BLOCKPULL_CHECK(find_extensions(header_, first_, path_));
    BLOCKPULL_CHECK(check_unknown_features());
    BLOCKPULL_CHECK(read_extensions(header_, first_, path_));
    BLOCKPULL_CHECK(check_features());
    BLOCKPULL_CHECK(read_compression());
    BLOCKPULL_CHECK(check_encryption());
    BLOCKPULL_CHECK(check_refcounts());
    BLOCKPULL_CHECK(check_snapshots());
    return check_l1();
  }

 private:
  Error corrupt(std::string message) const {
    return make_error(ErrorKind::kImageCorrupt, std::move(message)).with_path(path_);
  }

  Error unsupported(std::string message) const {
    return make_error(ErrorKind::kFeatureUnsupported, std::move(message)).with_path(path_);
  }

  Result<void> check_sizes() const {
    if (header_.cluster_bits < limits::kMinClusterBits ||
        header_.cluster_bits > limits::kMaxClusterBits) {
      return corrupt(text("cluster_bits is ", header_.cluster_bits, " in '", path_,
                          "'; supported range is ", limits::kMinClusterBits, " to ",
                          limits::kMaxClusterBits));
    }
    if (header_.version >= 3 && (header_.header_length < kV3MinHeaderLength ||
                                 header_.header_length > header_.cluster_size())) {
      return corrupt(text("header_length is ", header_.header_length, " in '", path_,
                          "'; supported range is ", kV3MinHeaderLength, " to the cluster size of ",
                          header_.cluster_size()));
    }
    if (header_.header_length > first_.size()) {
      return corrupt(text("file '", path_, "' is cut short: its header has ", header_.header_length,
                          " bytes, the file ", first_.size()));
    }
    if (header_.stored_size > limits::kVirtualSize) {
      return corrupt(text("virtual size is ", header_.stored_size, " in '", path_,
                          "'; the limit is ", limits::kVirtualSize));
    }
    return {};
  }

  Result<void> read_backing() {
    const std::uint64_t offset = header_.backing_offset;
    const std::uint64_t length = header_.backing_length;
    if (offset == 0) {
      return {};
    }
    if (offset > header_.cluster_size()) {
      return corrupt(text("backing file name of '", path_, "' begins at ", offset,
                          "; it must lie in the first cluster of ", header_.cluster_size()));
    }
    if (length > limits::kBackingNameBytes || length > header_.cluster_size() - offset) {
      return corrupt(text("backing file name at ", offset, " in '", path_, "' has ", length,
                          " bytes; the limit is ", limits::kBackingNameBytes,
                          " and the end of the first cluster"));
    }
    if (length == 0) {
      return {};
    }
    if (offset < header_.header_length || !fits(offset, length, first_.size())) {
      return corrupt(text("backing file name of '", path_, "' lies at ", offset, " to ",
                          offset + length, "; it must lie after the header and within the file"));
    }
    auto bytes = first_.subspan(offset, length);
    // Programs that store their strings with the zero that ends them; QEMU reads it as that.
    while (!bytes.empty() && bytes.back() == std::byte{0}) {
      bytes = bytes.first(bytes.size() - 1);
    }
    if (bytes.empty()) {
      return {};
    }
    if (std::find(bytes.begin(), bytes.end(), std::byte{0}) != bytes.end()) {
      return corrupt(text("backing file name of '", path_, "' contains a zero byte"));
    }
    header_.backing.emplace().name = string_of(bytes);
    return {};
  }

  Result<void> check_unknown_features() const {
    const std::uint64_t unknown = header_.incompatible & ~incompatible::kKnown;
    if (unknown == 0) {
      return {};
    }
    const auto bit = static_cast<unsigned>(std::countr_zero(unknown));
    const std::string name = incompatible_feature_name(header_, first_, bit);
    return unsupported(text("feature ", name.empty() ? "without a name" : text("'", name, "'"),
                            " (incompatible bit ", bit, ") of '", path_, "' is not supported"));
  }

  Result<void> check_features() const {
    if (header_.has_extended_l2() && header_.cluster_bits < kMinExtendedClusterBits) {
      return corrupt(text("subclusters of '", path_, "' would have ",
                          header_.cluster_size() / kSubclusters, " bytes; the minimum is 512"));
    }
    if ((header_.autoclear & autoclear::kRawExternalData) != 0 &&
        (header_.incompatible & incompatible::kExternalData) == 0) {
      return corrupt(text("header of '", path_,
                          "' says that its external data file is raw, but has no such file"));
    }
    return {};
  }

  Result<void> read_compression() {
    const std::uint32_t type = header_.header_length > field::kCompressionType
                                   ? std::to_integer<std::uint32_t>(first_[field::kCompressionType])
                                   : 0;
    const bool has_bit = (header_.incompatible & incompatible::kCompressionType) != 0;
    if (type > static_cast<std::uint32_t>(CompressionType::kZstd)) {
      return unsupported(text("compression type ", type, " of '", path_,
                              "' is not supported; supported are 0 (deflate) and 1 (zstd)"));
    }
    if (has_bit != (type != 0)) {
      return corrupt(text("compression type is ", type, " in '", path_,
                          "', but its feature bit is ", has_bit ? "set" : "not set"));
    }
    header_.compression = static_cast<CompressionType>(type);
    return {};
  }

  Result<void> check_encryption() const {
    if (header_.crypt_method > kLuks) {
      return unsupported(
          text("encryption method ", header_.crypt_method, " of '", path_, "' is not supported"));
    }
    if (header_.crypt_method == kLuks && header_.find(extension::kEncryption) == nullptr) {
      return corrupt(text("header of '", path_, "' says LUKS, but has no LUKS extension"));
    }
    return {};
  }

  Result<void> check_table(const char* what, std::uint64_t offset, std::uint64_t bytes) const {
    if (offset == 0 || !is_aligned(offset, header_.cluster_size())) {
      return corrupt(text(what, " of '", path_, "' begins at ", offset,
                          "; it must begin at a multiple of ", header_.cluster_size()));
    }
    if (!lies_in_file(offset, bytes, file_size_, header_.cluster_size())) {
      return corrupt(text(what, " of '", path_, "' has ", bytes, " bytes at ", offset,
                          " and does not fit into the file's ", file_size_,
                          "; less than a cluster of it may be missing"));
    }
    return {};
  }

  Result<void> check_refcounts() const {
    if (header_.refcount_order > kMaxRefcountOrder) {
      return corrupt(text("refcount_order is ", header_.refcount_order, " in '", path_,
                          "'; the limit is ", kMaxRefcountOrder));
    }
    const std::uint64_t bytes =
        std::uint64_t{header_.refcount_table_clusters} * header_.cluster_size();
    if (bytes == 0 || bytes > limits::kRefcountTableBytes) {
      return corrupt(text("refcount table of '", path_, "' has ", bytes,
                          " bytes; supported range is one cluster to ",
                          limits::kRefcountTableBytes));
    }
    return check_table("refcount table", header_.refcount_table_offset, bytes);
  }

  Result<void> check_snapshots() const {
    if (header_.snapshot_count > limits::kSnapshots) {
      return corrupt(text("snapshot table of '", path_, "' has ", header_.snapshot_count,
                          " entries; the limit is ", limits::kSnapshots));
    }
    if (!is_aligned(header_.snapshots_offset, header_.cluster_size())) {
      return corrupt(text("snapshot table of '", path_, "' begins at ", header_.snapshots_offset,
                          "; it must begin at a multiple of ", header_.cluster_size()));
    }
    // What the entries say is read, and bounded, by snapshots.h.
    return header_.snapshot_count == 0 ? Result<void>()
                                       : check_table("snapshot table", header_.snapshots_offset, 1);
  }

  Result<void> check_l1() const {
    const std::uint64_t bytes = std::uint64_t{header_.l1_entries} * kEntryBytes;
    if (bytes > limits::kL1TableBytes) {
      return corrupt(text("L1 table of '", path_, "' has ", bytes, " bytes; the limit is ",
                          limits::kL1TableBytes));
    }
    const std::uint64_t needed =
        divide_up(header_.stored_size, header_.cluster_size() * header_.l2_entries());
    if (header_.l1_entries < needed) {
      return corrupt(text("L1 table of '", path_, "' has ", header_.l1_entries,
                          " entries; its virtual size of ", header_.stored_size, " needs ",
                          needed));
    }
    if (bytes != 0) {
      return check_table("L1 table", header_.l1_offset, bytes);
    }
    return is_aligned(header_.l1_offset, header_.cluster_size())
               ? Result<void>()
               : Result<void>(
                     corrupt(text("L1 table of '", path_, "' begins at ", header_.l1_offset,
                                  "; it must begin at a multiple of ", header_.cluster_size())));
  }

  Header& header_;
  const std::span<const std::byte> first_;
  const std::uint64_t file_size_;
  const std::string& path_;
};

Header copy_fields(std::span<const std::byte> first) {
  Header header;
  header.version = be_at<std::uint32_t>(first, field::kVersion);
  header.backing_offset = be_at<std::uint64_t>(first, field::kBackingFileOffset);
  header.backing_length = be_at<std::uint32_t>(first, field::kBackingFileSize);
  header.cluster_bits = be_at<std::uint32_t>(first, field::kClusterBits);
  header.stored_size = be_at<std::uint64_t>(first, field::kVirtualSize);
  header.crypt_method = be_at<std::uint32_t>(first, field::kCryptMethod);
  header.l1_entries = be_at<std::uint32_t>(first, field::kL1Size);
  header.l1_offset = be_at<std::uint64_t>(first, field::kL1TableOffset);
  header.refcount_table_offset = be_at<std::uint64_t>(first, field::kRefcountTableOffset);
  header.refcount_table_clusters = be_at<std::uint32_t>(first, field::kRefcountTableClusters);
  header.snapshot_count = be_at<std::uint32_t>(first, field::kSnapshotCount);
  header.snapshots_offset = be_at<std::uint64_t>(first, field::kSnapshotsOffset);
  if (header.version >= 3) {
    header.incompatible = be_at<std::uint64_t>(first, field::kIncompatibleFeatures);
    header.compatible = be_at<std::uint64_t>(first, field::kCompatibleFeatures);
    header.autoclear = be_at<std::uint64_t>(first, field::kAutoclearFeatures);
    header.refcount_order = be_at<std::uint32_t>(first, field::kRefcountOrder);
    header.header_length = be_at<std::uint32_t>(first, field::kHeaderLength);
  }
  return header;
}

}  // namespace

Result<Header> parse_header(std::span<const std::byte> first, std::uint64_t file_size,
                            const std::string& path) {
  if (first.size() < sizeof kMagic || be_at<std::uint32_t>(first, field::kMagic) != kMagic) {
    return make_error(ErrorKind::kFormatUnknown, text("file '", path, "' is not a qcow2 image"))
        .with_path(path);
  }
  const bool has_version = first.size() >= field::kVersion + sizeof(std::uint32_t);
  const std::uint32_t version = has_version ? be_at<std::uint32_t>(first, field::kVersion) : 0;
  if (has_version && version != 2 && version != 3) {
    return make_error(ErrorKind::kFeatureUnsupported,
                      text("qcow2 version ", version, " of '", path,
                           "' is not supported; supported are 2 and 3"))
        .with_path(path);
  }
  const std::size_t least = version == 3 ? kV3MinHeaderLength : kV2HeaderLength;
  if (first.size() < least) {
    return make_error(ErrorKind::kImageCorrupt,
                      text("file '", path, "' is cut short: it has ", first.size(),
                           " bytes, a qcow2 header has ", least, " or more"))
        .with_path(path);
  }
  Header header = copy_fields(first);
  BLOCKPULL_CHECK(Judge(header, first, file_size, path).run());
  return header;
}

}  // namespace blockpull::image::qcow2
