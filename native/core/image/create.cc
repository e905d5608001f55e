// SPDX-License-Identifier: Apache-2.0
//
// An empty image has four regions whose sizes depend on each other: the refcount blocks count
// themselves and the table that lists them. With the usual cluster size each is one cluster; with
// clusters of 512 bytes an L1 table alone can have 65536.

#include "core/image/create.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/chain.h"
#include "core/image/qcow2/layout.h"
#include "core/io/new_file.h"

namespace blockpull::image {
namespace {

using namespace qcow2;  // NOLINT(google-build-using-namespace)

constexpr std::uint32_t kRefcountOrder = 4;
constexpr std::uint64_t kRefcountBytes = 2;

/// Sizes in clusters, in the order of the file.
struct Regions {
  std::uint64_t refcount_table = 1;
  std::uint64_t refcount_blocks = 1;
  std::uint64_t l1_table = 1;
  std::uint64_t l1_entries = 0;

  [[nodiscard]] std::uint64_t l1_first() const { return 1 + refcount_table + refcount_blocks; }

  [[nodiscard]] std::uint64_t total() const { return l1_first() + l1_table; }
};

Error invalid(const CreateOptions& options, std::string message) {
  return make_error(ErrorKind::kInvalidArgument, std::move(message)).with_path(options.path);
}

Result<void> check_numbers(const CreateOptions& options) {
  const std::uint64_t least = std::uint64_t{1} << limits::kMinClusterBits;
  const std::uint64_t most = std::uint64_t{1} << limits::kMaxClusterBits;
  if (!std::has_single_bit(options.cluster_size) || options.cluster_size < least ||
      options.cluster_size > most) {
    return invalid(options, text("cluster size is ", options.cluster_size,
                                 "; it must be a power of two from ", least, " to ", most));
  }
  if (options.version != 2 && options.version != 3) {
    return invalid(options, text("qcow2 version is ", options.version, "; it must be 2 or 3"));
  }
  return {};
}

/// Opens the backing chain, so that no overlay is created on a chain that cannot be read. Returns
/// its virtual size.
Result<std::uint64_t> backing_size(const CreateOptions& options) {
  if (!options.backing_format) {
    return invalid(options, text("format of backing file '", *options.backing_file,
                                 "' is missing; formats are never guessed, so state it"));
  }
  BLOCKPULL_TRY(path, resolve_backing(options.path, *options.backing_file));
  ChainOptions chain_options;
  chain_options.format = options.backing_format;
  BLOCKPULL_TRY(chain, open_chain(path, chain_options));
  return chain.active().virtual_size();
}

Result<std::uint64_t> virtual_size(const CreateOptions& options) {
  std::optional<std::uint64_t> size = options.size;
  if (options.backing_file) {
    BLOCKPULL_TRY(backing, backing_size(options));
    size = size.value_or(backing);
  }
  if (!size) {
    return invalid(options, text("size of '", options.path,
                                 "' is missing; state it, or a backing file to take it from"));
  }
  if (*size > limits::kVirtualSize - kSector) {
    return make_error(ErrorKind::kOverflow, text("size is ", *size, " bytes; the limit is ",
                                                 limits::kVirtualSize - kSector))
        .with_path(options.path);
  }
  return round_up(*size, kSector);
}

Result<Regions> plan_regions(const CreateOptions& options, std::uint64_t size) {
  const std::uint64_t cluster_size = options.cluster_size;
  Regions regions;
  // An L1 table has at least one entry, even if no table is listed, so that it has a place.
  regions.l1_entries =
      std::max<std::uint64_t>(1, divide_up(size, cluster_size * (cluster_size / kEntryBytes)));
  if (regions.l1_entries > limits::kL1TableBytes / kEntryBytes) {
    return make_error(ErrorKind::kOverflow,
                      text("size of ", size, " bytes is too large for clusters of ", cluster_size,
                           " bytes: it needs ", regions.l1_entries, " L1 entries, the limit is ",
                           limits::kL1TableBytes / kEntryBytes, "; choose larger clusters"))
        .with_path(options.path);
  }
  regions.l1_table = divide_up(regions.l1_entries * kEntryBytes, cluster_size);
  // Each round can only add clusters, and one more block covers hundreds of clusters.
  for (std::uint64_t before = 0; before != regions.total();) {
    before = regions.total();
    regions.refcount_blocks = divide_up(before, cluster_size / kRefcountBytes);
    regions.refcount_table = divide_up(regions.refcount_blocks * kEntryBytes, cluster_size);
  }
  return regions;
}

/// The first cluster: header, extensions, name.
Result<std::vector<std::byte>> encode_header(const CreateOptions& options, std::uint64_t size,
                                             const Regions& regions) {
  const std::uint64_t cluster_size = options.cluster_size;
  std::vector<std::byte> out(cluster_size);
  std::size_t end = options.version == 2 ? kV2HeaderLength : kV3HeaderLength;
  put_be_at<std::uint32_t>(out, field::kMagic, kMagic);
  put_be_at<std::uint32_t>(out, field::kVersion, options.version);
  put_be_at<std::uint32_t>(out, field::kClusterBits,
                           static_cast<std::uint32_t>(std::countr_zero(cluster_size)));
  put_be_at<std::uint64_t>(out, field::kVirtualSize, size);
  put_be_at<std::uint32_t>(out, field::kL1Size, static_cast<std::uint32_t>(regions.l1_entries));
  put_be_at<std::uint64_t>(out, field::kL1TableOffset, regions.l1_first() * cluster_size);
  put_be_at<std::uint64_t>(out, field::kRefcountTableOffset, cluster_size);
  put_be_at<std::uint32_t>(out, field::kRefcountTableClusters,
                           static_cast<std::uint32_t>(regions.refcount_table));
  if (options.version >= 3) {
    put_be_at<std::uint32_t>(out, field::kRefcountOrder, kRefcountOrder);
    put_be_at<std::uint32_t>(out, field::kHeaderLength, static_cast<std::uint32_t>(end));
  }
  if (!options.backing_file) {
    return out;
  }
  const std::string_view format = format_name(*options.backing_format);
  put_be_at<std::uint32_t>(out, end, extension::kBackingFormat);
  put_be_at<std::uint32_t>(out, end + 4, static_cast<std::uint32_t>(format.size()));
  std::memcpy(out.data() + end + kExtensionHead, format.data(), format.size());
  end += kFormatExtension + kExtensionHead;

  const std::string& name = *options.backing_file;
  const std::size_t room = std::min<std::size_t>(cluster_size - end, limits::kBackingNameBytes);
  if (name.empty() || name.size() > room) {
    return invalid(options, text("backing file name has ", name.size(), " bytes; with clusters of ",
                                 cluster_size, " bytes supported range is 1 to ", room));
  }
  put_be_at<std::uint64_t>(out, field::kBackingFileOffset, end);
  put_be_at<std::uint32_t>(out, field::kBackingFileSize, static_cast<std::uint32_t>(name.size()));
  std::memcpy(out.data() + end, name.data(), name.size());
  return out;
}

Result<void> write_image(io::File& file, const Regions& regions,
                         std::span<const std::byte> header) {
  const std::uint64_t cluster_size = header.size();
  const std::uint64_t first_block = 1 + regions.refcount_table;
  std::vector<std::byte> table(regions.refcount_table * cluster_size);
  for (std::uint64_t i = 0; i < regions.refcount_blocks; ++i) {
    put_be_at<std::uint64_t>(table, i * kEntryBytes, (first_block + i) * cluster_size);
  }
  std::vector<std::byte> blocks(regions.refcount_blocks * cluster_size);
  for (std::uint64_t i = 0; i < regions.total(); ++i) {
    put_be_at<std::uint16_t>(blocks, i * kRefcountBytes, 1);
  }
  BLOCKPULL_CHECK(file.truncate(regions.total() * cluster_size));
  BLOCKPULL_CHECK(file.write_at(cluster_size, table));
  BLOCKPULL_CHECK(file.write_at(first_block * cluster_size, blocks));
  return file.write_at(0, header);
}

}  // namespace

Result<void> create_image(const CreateOptions& options) {
  BLOCKPULL_CHECK(check_numbers(options));
  BLOCKPULL_TRY(size, virtual_size(options));
  BLOCKPULL_TRY(regions, plan_regions(options, size));
  BLOCKPULL_TRY(header, encode_header(options, size, regions));
  BLOCKPULL_TRY(target, io::NewFile::create(options.path));
  BLOCKPULL_CHECK(write_image(target.file(), regions, header));
  return target.publish();
}

}  // namespace blockpull::image
