// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/table_walk.h"

#include <algorithm>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/image/qcow2/l2_entry.h"
#include "core/image/qcow2/subclusters.h"

namespace blockpull::image::qcow2 {
namespace {

TableRun fault_run(EntryFault fault) {
  return {{}, fault};
}

TableRun compressed_run(const TableShape& shape, std::uint64_t entry,
                        std::uint64_t offset_in_cluster, std::uint64_t length) {
  const CompressedCluster cluster = decode_compressed(entry, shape.cluster_bits);
  if (cluster.offset > kOffsetMask) {
    return fault_run(EntryFault::kCompressedTooFar);
  }
  TableRun run;
  run.extent.status = Status::kCompressed;
  run.extent.length = std::min(length, shape.cluster_size() - offset_in_cluster);
  run.extent.host = {cluster.offset};
  run.extent.compressed_length = cluster.length;
  run.extent.offset_in_cluster = offset_in_cluster;
  return run;
}

/// Entries that continue a run: (entry & mask) == expected, where expected grows by step.
struct Pattern {
  std::uint64_t mask = 0;
  std::uint64_t expected = 0;
  std::uint64_t step = 0;
};

std::uint64_t count_matches(std::span<const std::byte> entries, std::uint64_t most,
                            Pattern pattern) {
  const std::uint64_t end = std::min<std::uint64_t>(most, entries.size() / kEntryBytes);
  std::uint64_t count = 0;
  while (count < end &&
         (be_at<std::uint64_t>(entries, count * kEntryBytes) & pattern.mask) == pattern.expected) {
    pattern.expected += pattern.step;
    ++count;
  }
  return count;
}

TableRun walk_standard(const TableShape& shape, std::span<const std::byte> entries,
                       std::uint64_t offset_in_cluster, std::uint64_t length) {
  const std::uint64_t cluster_size = shape.cluster_size();
  const auto first = be_at<std::uint64_t>(entries, 0);
  if ((first & kCompressed) != 0) {
    return compressed_run(shape, first, offset_in_cluster, length);
  }
  const std::uint64_t host = first & kOffsetMask;
  if (!is_aligned(host, cluster_size)) {
    return fault_run(EntryFault::kUnaligned);
  }
  TableRun run;
  Pattern pattern{kCompressed | kZero | kOffsetMask, 0, 0};
  if ((first & kZero) != 0) {
    if (shape.version < 3) {
      return fault_run(EntryFault::kZeroInVersion2);
    }
    run.extent.status = Status::kZero;
    pattern.mask = kCompressed | kZero | (kOffsetMask & (cluster_size - 1));
    pattern.expected = kZero;
  } else if (host != 0) {
    run.extent.status = Status::kData;
    run.extent.host = {host + offset_in_cluster};
    pattern.expected = host;
    pattern.step = cluster_size;
  }
  const std::uint64_t wanted = divide_up(offset_in_cluster + length, cluster_size);
  const std::uint64_t matches = count_matches(entries, wanted, pattern);
  run.extent.length = std::min(length, matches * cluster_size - offset_in_cluster);
  return run;
}

/// Whether a stretch with this status and host offset continues `extent`.
bool goes_on(const Extent& extent, Status status, std::uint64_t host) {
  return extent.status == status &&
         (status != Status::kData || extent.host.value + extent.length == host);
}

TableRun walk_extended(const TableShape& shape, std::span<const std::byte> entries,
                       std::uint64_t offset_in_cluster, std::uint64_t length) {
  const std::uint64_t subcluster_size = shape.cluster_size() / kSubclusters;
  TableRun run;
  std::uint64_t position = offset_in_cluster;
  while (entries.size() >= kExtendedEntryBytes && run.extent.length < length) {
    const auto entry = be_at<std::uint64_t>(entries, 0);
    const Subclusters bits(be_at<std::uint64_t>(entries, kEntryBytes));
    const std::uint64_t host = entry & kOffsetMask;
    const bool begins = run.extent.length == 0;
    if ((entry & kCompressed) != 0) {
      return begins ? compressed_run(shape, entry, position, length) : run;
    }
    const EntryFault fault = !is_aligned(host, shape.cluster_size()) ? EntryFault::kUnaligned
                             : !bits.is_sound(host != 0)             ? EntryFault::kBitmap
                                                                     : EntryFault::kNone;
    if (fault != EntryFault::kNone) {
      return begins ? fault_run(fault) : run;
    }
    const auto index = static_cast<std::uint32_t>(position / subcluster_size);
    const Status status = bits.status(index);
    const std::uint64_t here = host + position;
    if (begins) {
      run.extent.status = status;
      run.extent.host = {status == Status::kData ? here : 0};
    } else if (!goes_on(run.extent, status, here)) {
      return run;
    }
    const std::uint64_t end = (index + bits.run_length(index)) * subcluster_size;
    run.extent.length = std::min(length, run.extent.length + (end - position));
    if (end < shape.cluster_size()) {
      return run;
    }
    entries = entries.subspan(kExtendedEntryBytes);
    position = 0;
  }
  return run;
}

}  // namespace

const char* fault_text(EntryFault fault) {
  switch (fault) {
    case EntryFault::kUnaligned:
      return "its host offset is not a multiple of the cluster size";
    case EntryFault::kZeroInVersion2:
      return "it is a zero cluster, which version 2 does not have";
    case EntryFault::kCompressedTooFar:
      return "its compressed data would start above 2^56";
    case EntryFault::kBitmap:
      return "its bitmap contradicts itself";
    case EntryFault::kNone:
      break;
  }
  return "nothing is wrong with it";
}

TableRun walk_entries(const TableShape& shape, std::span<const std::byte> entries,
                      std::uint64_t offset_in_cluster, std::uint64_t length) {
  return shape.has_subclusters ? walk_extended(shape, entries, offset_in_cluster, length)
                               : walk_standard(shape, entries, offset_in_cluster, length);
}

std::size_t classify_entries(const TableShape& shape, std::span<const std::byte> entries,
                             std::uint64_t file_size, std::span<Status> into) {
  const std::uint64_t most = std::min<std::uint64_t>(entries.size() / kEntryBytes, into.size());
  const std::uint64_t damaged =
      (kOffsetMask & (shape.cluster_size() - 1)) | (shape.version < 3 ? kZero : 0);
  for (std::size_t i = 0; i < most; ++i) {
    const auto entry = be_at<std::uint64_t>(entries, i * kEntryBytes);
    if ((entry & kCompressed) != 0) {
      const std::uint64_t host = decode_compressed(entry, shape.cluster_bits).offset;
      if (host > kOffsetMask || host >= file_size) {
        return i;
      }
      into[i] = Status::kCompressed;
      continue;
    }
    if ((entry & damaged) != 0) {
      return i;
    }
    const Status allocated = (entry & kOffsetMask) != 0 ? Status::kData : Status::kUnallocated;
    into[i] = (entry & kZero) != 0 ? Status::kZero : allocated;
  }
  return most;
}

}  // namespace blockpull::image::qcow2
