// SPDX-License-Identifier: Apache-2.0

#include "driver/plan/trailing_policy.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "core/image/qcow2/trailing_bytes.h"

namespace blockpull::driver {
namespace {

using image::qcow2::KeptTrailer;
using image::qcow2::TrailingOwner;

std::optional<job::Trailing> about(const std::optional<KeptTrailer>& trailer) {
  return trailer ? std::optional(job::Trailing{trailer->offset(), trailer->length()})
                 : std::nullopt;
}

/// Where a trailer may begin. If the file has all clusters with a refcount, those behind the image
/// were leaked by a killed pull. That pull may have died within the last of them, so a trailer may
/// begin in it.
std::uint64_t first_foreign_byte(const image::qcow2::Allocator& allocator, std::uint64_t file_size,
                                 std::uint64_t cluster_size) {
  const std::uint64_t leaks_end = allocator.leaks_end();
  if (leaks_end <= allocator.end_of_use() || leaks_end > file_size) {
    return allocator.end_of_use();
  }
  return leaks_end == file_size ? file_size
                                : std::max(allocator.end_of_use(), leaks_end - cluster_size);
}

/// Foreign bytes behind the image, if any.
Result<std::optional<job::Trailing>> find_foreign(image::Qcow2Image& image,
                                                  const image::qcow2::EndOfUse& use) {
  BLOCKPULL_TRY(owner, image::qcow2::owner_of_trailing(image, use));
  if (owner == TrailingOwner::kNothing) {
    return std::optional<job::Trailing>();
  }
  BLOCKPULL_TRY(raised, KeptTrailer::find_raised(image, use.offset));
  if (raised) {
    return about(raised);
  }
  if (owner == TrailingOwner::kLeftover) {
    return std::optional<job::Trailing>();
  }
  BLOCKPULL_TRY(file_size, image.file().size());
  return std::optional(job::Trailing{use.offset, file_size - use.offset});
}

}  // namespace

Result<TrailingFound> find_trailing_data(image::Qcow2Image& image,
                                         const image::qcow2::Allocator& allocator,
                                         TrailingPolicy wanted) {
  TrailingFound found;
  const std::uint64_t end_of_use = allocator.end_of_use();
  if (wanted == TrailingPolicy::kKeep) {
    BLOCKPULL_TRY(file_size, image.file().size());
    const std::uint64_t from = first_foreign_byte(allocator, file_size, image.cluster_size());
    BLOCKPULL_TRY(kept, KeptTrailer::find(image, end_of_use, from));
    found.told = about(kept);
    found.kept = kept ? std::make_unique<KeptTrailer>(*std::move(kept)) : nullptr;
    return found;
  }
  BLOCKPULL_TRY(foreign, find_foreign(image, allocator.use()));
  found.told = foreign;
  if (!foreign || wanted == TrailingPolicy::kDiscard) {
    return found;
  }
  const std::string& path = image.file().path();
  return make_error(ErrorKind::kFeatureUnsupported,
                    text("image '", path, "' has ", foreign->bytes,
                         " bytes after its end, from offset ", foreign->offset,
                         " on, which another program may have put there; a pull overwrites them, "
                         "so choose trailingData 'keep' (--trailing-data keep) or 'discard'"))
      .with_path(path);
}

}  // namespace blockpull::driver
