// SPDX-License-Identifier: Apache-2.0
//
// Plans and digests consist of status() calls. One call therefore covers many entries with one
// access to the cache, and joins the runs of adjacent slices, tables and absent L1 entries:
//
//     L1 slice  ─▶ absent: as many L1 entries as follow, at once
//               └▶ L2 slice ─▶ table_walk.h: as many entries as mean the same

#include "core/image/qcow2/qcow2_image.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/qcow2/compressed.h"
#include "core/image/qcow2/parse_header.h"
#include "core/image/qcow2/snapshots.h"
#include "core/image/qcow2/support.h"
#include "core/image/qcow2/table_walk.h"

namespace blockpull::image {
namespace {

using namespace qcow2;  // NOLINT(google-build-using-namespace)

/// Bytes of the first read; enough for the cluster size of nearly all images.
constexpr std::uint64_t kUsualCluster = 64 * limits::kKiB;

/// Most slices that one status() joins: a call then takes well under a few milliseconds, even if
/// every slice has to be read.
constexpr int kMaxSlices = 256;

/// The first cluster of `file`, or as much of it as exists.
Result<std::vector<std::byte>> read_first_cluster(io::File& file, std::uint64_t file_size) {
  std::vector<std::byte> first(std::min(file_size, kUsualCluster));
  BLOCKPULL_CHECK(file.read_at(0, first));
  if (first.size() < kUsualCluster) {
    return first;
  }
  const auto bits = be_at<std::uint32_t>(first, field::kClusterBits);
  const std::uint64_t cluster = std::uint64_t{1} << std::min(bits, limits::kMaxClusterBits);
  if (cluster > first.size()) {
    first.resize(std::min(file_size, cluster));
    BLOCKPULL_CHECK(file.read_at(0, first));
  }
  return first;
}

bool goes_on(const Extent& run, const Extent& next) {
  return run.status == next.status && run.status != Status::kCompressed &&
         (run.status != Status::kData || run.host.value + run.length == next.host.value);
}

}  // namespace

Result<std::unique_ptr<Qcow2Image>> Qcow2Image::open(std::unique_ptr<io::File> file) {
  BLOCKPULL_TRY(image, open_metadata(std::move(file)));
  BLOCKPULL_CHECK(check_readable(image->header(), image->file().path()));
  return image;
}

Result<std::unique_ptr<Qcow2Image>> Qcow2Image::open_metadata(std::unique_ptr<io::File> file) {
  BLOCKPULL_TRY(file_size, file->size());
  BLOCKPULL_TRY(first, read_first_cluster(*file, file_size));
  BLOCKPULL_TRY(header, parse_header(first, file_size, file->path()));
  BLOCKPULL_CHECK(check_snapshot_table(*file, header));
  return std::unique_ptr<Qcow2Image>(new Qcow2Image(std::move(file), std::move(header), file_size));
}

Result<Extent> Qcow2Image::status(GuestOffset offset, std::uint64_t length) {
  Result<Extent> first = run_in_slice(offset.value, length);
  if (!first.ok()) {
    return first;
  }
  Extent run = *first;
  for (int slices = 1; slices < kMaxSlices && run.length < length; ++slices) {
    const Result<Extent> next = run_in_slice(offset.value + run.length, length - run.length);
    // Damage further on is reported when it is asked for.
    if (!next.ok() || !goes_on(run, *next)) {
      break;
    }
    run.length += next->length;
  }
  return run;
}

/// Stops at the number of tables that the file can hold if none is listed twice.
Result<std::vector<std::uint64_t>> Qcow2Image::list_tables() {
  std::vector<std::uint64_t> tables;
  const L1Table l1 = l1_table();
  for (std::uint64_t index = 0; index < l1.entries();) {
    BLOCKPULL_TRY(view, tables_.view(l1.entry_at(index)));
    const std::uint64_t entries =
        std::min<std::uint64_t>(view.size() / kEntryBytes, l1.entries() - index);
    for (std::uint64_t i = 0; i < entries; ++i) {
      const std::uint64_t table = be_at<std::uint64_t>(view, i * kEntryBytes) & kOffsetMask;
      if (table != 0) {
        tables.push_back(table);
      }
    }
    index += entries;
  }
  return tables;
}

Result<void> Qcow2Image::check_walk() {
  BLOCKPULL_TRY(tables, list_tables());
  std::sort(tables.begin(), tables.end());
  const auto twice = std::adjacent_find(tables.begin(), tables.end());
  if (twice == tables.end()) {
    return {};
  }
  return make_error(
             ErrorKind::kImageCorrupt,
             text("L1 table of '", file_->path(), "' names the L2 table at ", Hex{*twice},
                  " more than once, which is never valid; run 'blockpull check' for details"))
      .with_path(file_->path());
}

Result<Qcow2Image::L1Answer> Qcow2Image::l1_at(std::uint64_t guest_offset) {
  const L1Table l1 = l1_table();
  const std::uint64_t index = l1.index_of(guest_offset / header_.cluster_size());
  BLOCKPULL_TRY(view, tables_.view(l1.entry_at(index)));
  const std::uint64_t entries =
      std::min<std::uint64_t>(view.size() / kEntryBytes, l1.entries() - index);
  L1Answer answer;
  while (answer.absent_entries < entries && answer.table_offset == 0) {
    answer.table_offset =
        be_at<std::uint64_t>(view, answer.absent_entries * kEntryBytes) & kOffsetMask;
    answer.absent_entries += answer.table_offset == 0 ? 1 : 0;
  }
  if (answer.absent_entries > 0) {
    answer.table_offset = 0;
  }
  return answer;
}

Result<Extent> Qcow2Image::run_in_slice(std::uint64_t guest_offset, std::uint64_t length) {
  const std::uint64_t table_span = header_.cluster_size() * header_.l2_entries();
  BLOCKPULL_TRY(answer, l1_at(guest_offset));
  if (answer.table_offset != 0) {
    return run_in_table(answer.table_offset, guest_offset, length);
  }
  Extent extent;
  extent.length = std::min(length, answer.absent_entries * table_span - guest_offset % table_span);
  return extent;
}

Result<Extent> Qcow2Image::run_in_table(std::uint64_t table, std::uint64_t guest_offset,
                                        std::uint64_t length) {
  const std::uint64_t cluster_size = header_.cluster_size();
  BLOCKPULL_TRY(is_sound, can_be_table(table));
  if (!is_sound) {
    return corrupt(text("L2 table at ", Hex{table}, " does not begin in the file at a multiple of ",
                        cluster_size),
                   guest_offset);
  }
  const std::uint64_t index = guest_offset / cluster_size % header_.l2_entries();
  const std::uint64_t entry_offset = index * header_.l2_entry_bytes();
  BLOCKPULL_TRY(view, tables_.view(table + entry_offset));
  const auto entries = view.first(std::min(view.size(), cluster_size - entry_offset));
  const TableRun run =
      walk_entries(shape_of(header_), entries, guest_offset % cluster_size, length);
  if (run.fault != EntryFault::kNone) {
    return corrupt(text("L2 entry ", Hex{be_at<std::uint64_t>(entries, 0)}, " at ",
                        Hex{table + entry_offset}, " is damaged: ", fault_text(run.fault)),
                   guest_offset);
  }
  if (run.extent.status == Status::kCompressed) {
    BLOCKPULL_TRY(stream_inside, begins_in_file(run.extent.host.value));
    if (!stream_inside) {
      return corrupt(text("compressed cluster at ", Hex{run.extent.host.value},
                          " lies beyond the end of the file"),
                     guest_offset);
    }
  }
  return run.extent;
}

Result<std::size_t> Qcow2Image::classify(GuestOffset offset, std::uint64_t unit,
                                         std::span<Status> into) {
  std::size_t told = 0;
  while (told < into.size()) {
    BLOCKPULL_TRY(here, classify_in_slice(offset.value + told * unit, unit, into.subspan(told)));
    if (here == 0) {
      break;
    }
    told += here;
  }
  return told;
}

Result<std::size_t> Qcow2Image::classify_in_slice(std::uint64_t guest_offset, std::uint64_t unit,
                                                  std::span<Status> into) {
  const std::uint64_t table_span = header_.cluster_size() * header_.l2_entries();
  BLOCKPULL_TRY(answer, l1_at(guest_offset));
  if (answer.table_offset != 0) {
    return classify_in_table(answer.table_offset, guest_offset, unit, into);
  }
  const std::uint64_t absent =
      (answer.absent_entries * table_span - guest_offset % table_span) / unit;
  const auto here = into.first(std::min<std::uint64_t>(into.size(), absent));
  std::fill(here.begin(), here.end(), Status::kUnallocated);
  return here.size();
}

Result<std::size_t> Qcow2Image::classify_in_table(std::uint64_t table, std::uint64_t guest_offset,
                                                  std::uint64_t unit, std::span<Status> into) {
  BLOCKPULL_TRY(is_sound, can_be_table(table));
  if (!is_sound) {
    return std::size_t{0};
  }
  const std::uint64_t cluster_size = header_.cluster_size();
  const std::uint64_t entry_offset =
      guest_offset / cluster_size % header_.l2_entries() * kEntryBytes;
  BLOCKPULL_TRY(view, tables_.view(table + entry_offset));
  const auto entries = view.first(std::min(view.size(), cluster_size - entry_offset));
  const std::uint64_t units_each = cluster_size / unit;
  if (units_each == 1) {
    return classify_entries(shape_of(header_), entries, known_file_size_, into);
  }
  // One entry at a time is fast enough: each covers several units.
  const std::uint64_t passed = guest_offset % cluster_size / unit;
  const std::uint64_t most =
      std::min<std::uint64_t>(into.size(), entries.size() / kEntryBytes * units_each - passed);
  for (std::size_t told = 0; told < most;) {
    const std::uint64_t entry = (passed + told) / units_each;
    const std::uint64_t end = std::min((entry + 1) * units_each - passed, most);
    if (classify_entries(shape_of(header_), entries.subspan(entry * kEntryBytes), known_file_size_,
                         into.subspan(told, 1)) == 0) {
      return told;
    }
    std::fill(into.begin() + told, into.begin() + end, into[told]);
    told = end;
  }
  return most;
}

Result<bool> Qcow2Image::can_be_table(std::uint64_t host_offset) {
  BLOCKPULL_TRY(begins_inside, begins_in_file(host_offset));
  return begins_inside && is_aligned(host_offset, header_.cluster_size());
}

Result<bool> Qcow2Image::begins_in_file(std::uint64_t host_offset) {
  if (host_offset >= known_file_size_) {
    BLOCKPULL_TRY(file_size, file_->size());
    known_file_size_ = file_size;
  }
  return host_offset < known_file_size_;
}

Error Qcow2Image::corrupt(const std::string& what, std::uint64_t guest_offset) const {
  return make_error(ErrorKind::kImageCorrupt,
                    text(what, " (guest offset ", guest_offset, " of '", file_->path(), "')"))
      .with_path(file_->path());
}

Result<void> Qcow2Image::inflate(std::span<const std::byte> compressed,
                                 std::span<std::byte> into) const {
  auto inflated = inflate_cluster(header_.compression, compressed, into);
  if (!inflated.ok()) {
    inflated.error().message += text(" (in '", file_->path(), "')");
    return std::move(inflated).error().with_path(file_->path());
  }
  return {};
}

}  // namespace blockpull::image
