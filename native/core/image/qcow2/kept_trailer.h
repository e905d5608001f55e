// SPDX-License-Identifier: Apache-2.0
//
// Foreign bytes behind the image that a pull keeps, whole and at the end of the file, while it
// takes clusters at their place.
//
//     before   │ image │ P trailer │
//     raised   │ image │ … room for all the pull may need … │ mark │ T trailer │
//     lowered  │ image, longer │ trailer │           or back at P, if the image did not grow
//
//     raise    the mark (the trailer's source and destination, its checksum) ─ flush ─
//              the copy ─ flush ─ both are read back ─ from now on the room is ours
//     lower    a copy behind the image ─ flush ─ it is read back ─ the file is truncated behind
//              the copy ─ flush
//
// Crash story: while the mark or the copy is written the trailer is still at P. The next find()
// takes it from there, since the copy does not match the mark; this lasts a few ms of a pull. After
// that the file ends with the whole trailer at any instant. The mark leads the next pull to it,
// wherever the image ends by then: the bytes behind the mark are the trailer, even if a program has
// written there since. Without a mark the trailer is all bytes from P on, or from the last leaked
// cluster on.
//
// Thread rule: one thread at a time, and it may block.

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
  /// The longest trailer that is kept, in bytes; it is in memory while the pull runs.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20U;

  /// Only the trailer that an earlier pull has raised and not lowered.
  [[nodiscard]] static Result<std::optional<KeptTrailer>> find_raised(Qcow2Image& image,
                                                                      std::uint64_t end_of_use);

  /// The same, or else the bytes from `from` on; absent if those are zeros. kFeatureUnsupported:
  /// too long.
  [[nodiscard]] static Result<std::optional<KeptTrailer>> find(Qcow2Image& image,
                                                               std::uint64_t end_of_use,
                                                               std::uint64_t from);

  [[nodiscard]] std::uint64_t offset() const { return source_; }
  [[nodiscard]] std::uint64_t length() const { return bytes_.size(); }

  /// Moves the trailer up, so that clusters up to `room_end` do not reach it.
  [[nodiscard]] Result<void> raise(std::uint64_t room_end);

  /// Moves the trailer to the present end of the image or, if absent, back to where it was found. A
  /// trailer that could not be raised stays in place. A second call does nothing.
  [[nodiscard]] Result<void> lower(std::optional<std::uint64_t> image_end);

  /// The bytes from here on are not for the image to use.
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
  /// Length of the file before anything was written.
  std::uint64_t first_size_;
  std::uint64_t held_from_;
  bool is_raised_ = false;
  bool is_lowered_ = false;
};

}  // namespace blockpull::image::qcow2
