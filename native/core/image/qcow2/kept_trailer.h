// SPDX-License-Identifier: Apache-2.0
//
// Foreign bytes behind the image that a pull is to keep, whole and at the end of the file, while it
// takes clusters where they lie.
//
//     before   │ image │ P trailer │
//     raised   │ image │ … room for all the pull may need … │ mark │ T trailer │
//     lowered  │ image, longer │ trailer │           or back at P, where the image did not grow
//
//     raise    the mark (where the trailer comes from, where it goes, its checksum) ─ flush ─
//              the copy ─ flush ─ both are read back ─ from here on the room is ours
//     lower    a copy behind the image ─ flush ─ it is read back ─ the file is cut off behind it ─
//              flush
//
// Crash story: while the mark or the copy is written the trailer is where it was, and the next
// find() takes it from there, since the copy does not match the mark; a few ms of a pull. After
// that, at any instant, the file ends with the whole trailer. The mark tells the next pull of it,
// wherever the image ends by then: what lies behind the mark is the trailer, also where a program
// has written there since. Without one, all bytes from P on are, or from the last leaked cluster.
//
// Thread rule: one thread at a time, on one that may block.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::image::qcow2 {

class KeptTrailer {
 public:
  /// Trailers up to this many bytes are kept; they are in memory for as long as the pull runs.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20U;

  /// The one that an earlier pull has raised and not lowered, and nothing else.
  [[nodiscard]] static Result<std::optional<KeptTrailer>> find_raised(Qcow2Image& image,
                                                                      std::uint64_t end_of_use);

  /// That, or what lies from `from` on; absent where that is zeros. kFeatureUnsupported: too long.
  [[nodiscard]] static Result<std::optional<KeptTrailer>> find(Qcow2Image& image,
                                                               std::uint64_t end_of_use,
                                                               std::uint64_t from);

  [[nodiscard]] std::uint64_t offset() const { return source_; }
  [[nodiscard]] std::uint64_t length() const { return bytes_.size(); }

  /// Moves it so far up that clusters up to `room_end` do not reach it.
  [[nodiscard]] Result<void> raise(std::uint64_t room_end);

  /// Moves it to where the image ends by now, or absent, back to where it was found. One that could
  /// not be raised stays where it is. A second call does nothing.
  [[nodiscard]] Result<void> lower(std::optional<std::uint64_t> image_end);

  /// Where the bytes begin that are not the image's to use.
  [[nodiscard]] std::uint64_t held_from() const { return held_from_; }

 private:
  KeptTrailer(Qcow2Image& image, std::uint64_t source, std::vector<std::byte> bytes,
              std::uint64_t file_size)
      : image_(&image),
        source_(source),
        bytes_(std::move(bytes)),
        first_size_(file_size),
        held_from_(source) {}

  [[nodiscard]] Result<void> read_back(std::uint64_t offset, std::span<const std::byte> written);

  Qcow2Image* image_;
  /// Where it was found.
  std::uint64_t source_;
  std::vector<std::byte> bytes_;
  /// Of the file, before anything was written.
  std::uint64_t first_size_;
  std::uint64_t held_from_;
  bool is_raised_ = false;
  bool is_lowered_ = false;
};

}  // namespace blockpull::image::qcow2
