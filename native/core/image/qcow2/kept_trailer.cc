// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/kept_trailer.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/hash/sha256.h"
#include "core/base/limits.h"
#include "core/base/text.h"

namespace blockpull::image::qcow2 {
namespace {

/// The mark is a sector, which a disk writes atomically, right before the copy:
///
///     0 magic │ 8 offset of the mark │ 16 source │ 24 length │ 32 SHA-256 of the trailer │
///     96 SHA-256 of what is before it │ 160 zeros                          digests in hex
constexpr std::string_view kMagic = "BPTRAIL1";
constexpr std::size_t kTrailerDigest = 32;
constexpr std::size_t kMarkDigest = 96;
constexpr std::size_t kDigest = 64;

using Mark = std::array<std::byte, kSector>;

std::string digest_of(std::span<const std::byte> bytes) {
  Sha256 sha;
  sha.update(bytes);
  return sha.finish();
}

bool says(std::span<const std::byte> bytes, std::string_view words) {
  const auto wanted = std::as_bytes(std::span(words));
  return std::equal(bytes.begin(), bytes.end(), wanted.begin(), wanted.end());
}

void put_words(std::span<std::byte> bytes, std::string_view words) {
  const auto from = std::as_bytes(std::span(words));
  std::copy(from.begin(), from.end(), bytes.begin());
}

Mark make_mark(std::uint64_t at, std::uint64_t source, std::span<const std::byte> trailer) {
  Mark mark{};
  const std::span<std::byte> bytes(mark);
  put_words(bytes, kMagic);
  put_be_at<std::uint64_t>(bytes, 8, at);
  put_be_at<std::uint64_t>(bytes, 16, source);
  put_be_at<std::uint64_t>(bytes, 24, trailer.size());
  put_words(bytes.subspan(kTrailerDigest), digest_of(trailer));
  put_words(bytes.subspan(kMarkDigest), digest_of(bytes.first(kMarkDigest)));
  return mark;
}

bool is_mark(std::span<const std::byte> sector, std::uint64_t at) {
  return says(sector.first(kMagic.size()), kMagic) && be_at<std::uint64_t>(sector, 8) == at &&
         says(sector.subspan(kMarkDigest, kDigest), digest_of(sector.first(kMarkDigest))) &&
         be_at<std::uint64_t>(sector, 24) <= KeptTrailer::kMostBytes;
}

/// A trailer and its offset.
struct Found {
  std::uint64_t offset = 0;
  std::vector<std::byte> bytes;
};

Result<std::vector<std::byte>> read_all(io::File& file, std::uint64_t from, std::uint64_t to) {
  std::vector<std::byte> bytes(to - from);
  BLOCKPULL_CHECK(file.read_at(from, bytes));
  return bytes;
}

/// Whether the machine may have died during a write of `whole` here: only a part of it is present.
bool is_unfinished(std::span<const std::byte> copy, std::span<const std::byte> whole) {
  for (std::size_t i = 0; i < copy.size(); ++i) {
    if (copy[i] != std::byte{0} && (i >= whole.size() || copy[i] != whole[i])) {
      return false;
    }
  }
  return true;
}

/// The bytes from `offset` to the end of the file, without a mark, or a part of one, at their end.
/// Such a mark means that a further move of the trailer got only that far.
std::span<const std::byte> without_last_mark(std::span<const std::byte> bytes, std::uint64_t offset,
                                             std::uint64_t cluster_size) {
  const std::uint64_t end = offset + bytes.size();
  const std::uint64_t mark = round_up(end, kSector) - kSector;
  if (mark < offset || mark == end || !is_aligned(mark + kSector, cluster_size)) {
    return bytes;
  }
  const auto last = bytes.subspan(mark - offset);
  const std::size_t begun = std::min(last.size(), kMagic.size());
  return says(last.first(begun), kMagic.substr(0, begun)) ? bytes.first(mark - offset) : bytes;
}

/// The bytes behind the mark, even if a program has changed them since. If they are an unfinished
/// copy, the trailer at its earlier place.
Result<std::optional<Found>> follow_mark(io::File& file, std::span<const std::byte> mark,
                                         std::uint64_t at, std::uint64_t cluster_size) {
  BLOCKPULL_TRY(file_size, file.size());
  const std::uint64_t copy = at + kSector;
  const auto length = be_at<std::uint64_t>(mark, 24);
  const auto is_whole = [&](std::span<const std::byte> bytes) {
    return bytes.size() >= length &&
           says(mark.subspan(kTrailerDigest, kDigest), digest_of(bytes.first(length)));
  };
  BLOCKPULL_TRY(behind, read_all(file, copy, file_size));
  const auto written = without_last_mark(behind, copy, cluster_size);
  if (is_whole(behind)) {
    if (written.size() >= length && all_zero(written.subspan(length))) {
      behind.resize(length);
    }
  } else {
    const auto source = be_at<std::uint64_t>(mark, 16);
    BLOCKPULL_TRY(before, read_all(file, source, source + length));
    if (is_whole(before) && is_unfinished(written, before)) {
      return std::optional(Found{source, std::move(before)});
    }
  }
  return behind.empty() ? std::optional<Found>() : std::optional(Found{copy, std::move(behind)});
}

/// The last mark in [from, to), both multiples of a sector, that leads to a trailer.
Result<std::optional<Found>> find_mark(io::File& file, std::uint64_t from, std::uint64_t to,
                                       std::uint64_t cluster_size) {
  std::vector<std::byte> chunk;
  while (to > from) {
    const std::uint64_t begin = std::max(from, to - std::min(to, limits::kMiB));
    chunk.resize(to - begin);
    BLOCKPULL_CHECK(file.read_at(begin, chunk));
    for (std::uint64_t at = chunk.size(); at > 0; at -= kSector) {
      const auto sector = std::span(chunk).subspan(at - kSector, kSector);
      if (!is_mark(sector, begin + at - kSector)) {
        continue;
      }
      BLOCKPULL_TRY(found, follow_mark(file, sector, begin + at - kSector, cluster_size));
      if (found) {
        return found;
      }
    }
    to = begin;
  }
  return std::optional<Found>();
}

}  // namespace

Result<std::optional<KeptTrailer>> KeptTrailer::find_raised(Qcow2Image& image,
                                                            std::uint64_t end_of_use) {
  BLOCKPULL_TRY(file_size, image.file().size());
  // The copy is the last thing in the file, and no more than kMostBytes are kept, so the mark is
  // not farther from the end than this.
  const std::uint64_t reach = kMostBytes + 2 * kSector;
  const std::uint64_t from =
      round_up(std::max(end_of_use, file_size - std::min(file_size, reach)), kSector);
  BLOCKPULL_TRY(
      found, find_mark(image.file(), from, round_down(file_size, kSector), image.cluster_size()));
  if (!found) {
    return std::optional<KeptTrailer>();
  }
  const std::uint64_t offset = found->offset;
  KeptTrailer raised(image, offset, std::move(found->bytes), file_size);
  // The mark must stay until another one is written.
  raised.held_from_ = offset > end_of_use ? offset - kSector : offset;
  return std::optional(std::move(raised));
}

Result<std::optional<KeptTrailer>> KeptTrailer::find(Qcow2Image& image, std::uint64_t end_of_use,
                                                     std::uint64_t from) {
  BLOCKPULL_TRY(raised, find_raised(image, end_of_use));
  if (raised) {
    return raised;
  }
  BLOCKPULL_TRY(file_size, image.file().size());
  if (file_size <= from) {
    return std::optional<KeptTrailer>();
  }
  const std::string& path = image.file().path();
  if (file_size - from > kMostBytes) {
    return make_error(ErrorKind::kFeatureUnsupported,
                      text("image '", path, "' has ", file_size - from, " bytes from ", from,
                           " on, after its own data; at most ", kMostBytes,
                           " can be kept, so save them elsewhere and discard them"))
        .with_path(path);
  }
  BLOCKPULL_TRY(bytes, read_all(image.file(), from, file_size));
  return all_zero(bytes) ? std::optional<KeptTrailer>()
                         : std::optional(KeptTrailer(image, from, std::move(bytes), file_size));
}

Result<void> KeptTrailer::raise(std::uint64_t room_end) {
  io::File& file = image_->file();
  BLOCKPULL_TRY(file_size, file.size());
  // The copy must also lie behind the trailer's present place, which must stay whole until the copy
  // is.
  const std::uint64_t least = std::max(room_end + bytes_.size(), file_size) + kSector;
  const std::uint64_t copy = round_up(least, image_->cluster_size());
  const Mark mark = make_mark(copy - kSector, source_, bytes_);
  BLOCKPULL_CHECK(file.write_at(copy - kSector, mark));
  // If we die here, the next open sees the trailer at its old place, and a mark that leads to it.
  BLOCKPULL_CHECK(file.sync());
  BLOCKPULL_CHECK(file.write_at(copy, bytes_));
  // If we die here, the next open sees the same, or the whole copy at the end of the file.
  BLOCKPULL_CHECK(file.sync());
  BLOCKPULL_CHECK(read_back(copy - kSector, mark));
  BLOCKPULL_CHECK(read_back(copy, bytes_));
  is_raised_ = true;
  held_from_ = copy - kSector;
  return {};
}

/// Another copy stays whole until this has succeeded.
Result<void> KeptTrailer::read_back(std::uint64_t offset, std::span<const std::byte> written) {
  io::File& file = image_->file();
  BLOCKPULL_TRY(there, read_all(file, offset, offset + written.size()));
  if (std::equal(there.begin(), there.end(), written.begin())) {
    return {};
  }
  return make_error(ErrorKind::kIo,
                    text("image '", file.path(), "' does not have what was written at offset ",
                         offset, ", ", written.size(), " bytes that were to be kept; a copy of ",
                         "them ends the file, keep the backing files and check the disk"))
      .with_path(file.path());
}

Result<void> KeptTrailer::lower(std::optional<std::uint64_t> image_end) {
  if (std::exchange(is_lowered_, true)) {
    return {};
  }
  io::File& file = image_->file();
  if (!is_raised_) {
    BLOCKPULL_TRY(file_size, file.size());
    if (file_size == first_size_) {
      return {};
    }
    BLOCKPULL_CHECK(file.truncate(first_size_));
    // If we die here, the next open sees what raise() may leave.
    return file.sync();
  }
  const std::uint64_t offset = image_end.value_or(source_);
  BLOCKPULL_CHECK(file.write_at(offset, bytes_));
  // If we die here, the next open sees the raised copy at the end of the file.
  BLOCKPULL_CHECK(file.sync());
  BLOCKPULL_CHECK(read_back(offset, bytes_));
  held_from_ = offset;
  BLOCKPULL_CHECK(file.truncate(offset + bytes_.size()));
  // If we die here, the next open sees either copy at the end of the file.
  return file.sync();
}

}  // namespace blockpull::image::qcow2
