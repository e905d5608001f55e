// SPDX-License-Identifier: Apache-2.0
//
// Writes small qcow2 images byte by byte, as a start for tests. It uses nothing of the library, so
// the library reads images that it has not written itself.
//
//     header │ refcount table │ L1 │ L2 tables │ refcount blocks │ … free … │ data and leaks
//
// The data may begin far behind the tables. The end of the image is then just before the end of a
// refcount block, or of the refcount table, without gigabytes of data.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "faults/content.h"

namespace blockpull::faults {

/// A guest cluster of an image with extended L2 entries; a bit for each subcluster.
struct SubclusterRecipe {
  std::uint64_t guest_cluster = 0;
  std::uint32_t allocated = 0;
  std::uint32_t zero = 0;
  /// There is a host cluster. What is not allocated in it has bytes that nobody reads.
  bool has_host = false;
};

struct ImageRecipe {
  std::uint32_t version = 3;
  std::uint32_t cluster_bits = 9;
  /// The width of a refcount is 2^order bits; 4 for version 2.
  std::uint32_t refcount_order = 4;
  std::uint64_t virtual_size = 0;

  /// Empty: none.
  std::string backing_name;
  /// Empty: the header states none.
  std::string backing_format;
  /// Without one, the backing name alone ends the extensions.
  bool has_end_marker = true;
  /// An extension of unknown type.
  bool has_unknown_extension = false;
  std::uint64_t autoclear = 0;

  /// Guest clusters with data, which depends on `seed`.
  std::vector<std::uint64_t> data_clusters;
  /// Guest clusters that are zero clusters (version 3).
  std::vector<std::uint64_t> zero_clusters;
  std::uint64_t seed = 1;
  /// Entries of 16 bytes; clusters of 16 KiB or more.
  bool has_extended_l2 = false;
  /// Guest clusters that are in neither of the lists above.
  std::vector<SubclusterRecipe> subclusters;

  /// Host cluster at which the data begins, if the tables leave it free.
  std::uint64_t first_data_cluster = 0;
  /// Clusters with a refcount but no reference: some between the data, the rest behind it.
  std::uint64_t leaked_clusters = 0;
  /// Bytes, not zeros, behind the last cluster of the file. QEMU leaves such bytes where it freed
  /// clusters without discarding them.
  std::uint64_t garbage_behind = 0;
  /// The file ends, and garbage begins, with the last subcluster that is allocated in the last host
  /// cluster.
  bool ends_with_subcluster = false;

  [[nodiscard]] std::uint64_t cluster_size() const { return std::uint64_t{1} << cluster_bits; }
};

[[nodiscard]] Content build_image(const ImageRecipe& recipe);

}  // namespace blockpull::faults
