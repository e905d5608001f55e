// SPDX-License-Identifier: Apache-2.0
//
// The last step of a pull: the header stops naming the backing file, or names another one.
//
// A disk writes at most a sector atomically. The switch is therefore *one write inside the first
// 512 bytes*; otherwise the pull is refused before it has written anything.
//
//     remove   bytes 8…19 become 0; if only the backing name ended the extensions, 8 zero bytes (an
//              end marker) are written at their end, or the old name would read as an extension
//     replace  the new name goes into free space of cluster 0 ─ flush ─ then offset, length and the
//              backing format extension switch together
//
//     0        8  ┌offset┐┌len┐20      72/112                          512      cluster_size
//     │ magic … │   8…19        │ … │ format ext │ other ext │ end │ … name … │ free │
//
// Nothing else of cluster 0 changes: unknown extensions and fields stay byte for byte. The fields
// between the changed ones stay too; the pull itself may have changed some since the plan was made
// (the refcount table, the autoclear bits). apply() therefore puts the changes into the sector as
// it is then.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/result.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::image::qcow2 {

class HeaderEdit {
 public:
  /// Prepares both writes for `backing` (absent: none). kFeatureUnsupported if the switch does not
  /// fit into one sector, or the name not into the first cluster.
  [[nodiscard]] static Result<HeaderEdit> plan(Qcow2Image& image,
                                               const std::optional<BackingReference>& backing);

  /// The step before the switch: writes the new name where nothing reads it, and flushes.
  [[nodiscard]] Result<void> prepare(Qcow2Image& image) const;

  /// The switch, to be called after prepare(): writes and flushes. Everything that the new header
  /// implies must already be durable.
  [[nodiscard]] Result<void> apply(Qcow2Image& image) const;

 private:
  struct Write {
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes;
  };

  [[nodiscard]] Result<void> plan_removal(Qcow2Image& image);
  [[nodiscard]] Result<void> plan_replacement(Qcow2Image& image, const BackingReference& backing);
  void change_reference(std::uint64_t name_offset, std::uint64_t name_length);

  /// Without bytes: there is no new name.
  Write name_;
  /// The parts of the first sector that change, in one write.
  std::vector<Write> switch_;
};

}  // namespace blockpull::image::qcow2
