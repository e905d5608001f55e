// SPDX-License-Identifier: Apache-2.0
//
// One disk's images, level for level, as two answers of QEMU tell of them together:
//
//     query-block        inserted.image ─backing-image─▶ … ─▶ …      what each image is
//     query-blockstats   node-name      ─backing──────▶ … ─▶ …      what its node is called
//
// Both nest alike: a level for each image and for each filter that somebody put in, none for those
// that QEMU's own jobs put in. So a name and an image of one level belong together, whatever
// filters there are, and no guess is needed. Answers of unequal depth are refused. (A filter of
// query-blockstats shows what is below it twice, as `parent` too, which is not looked at.)
//
// Pure functions over answers.

#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/qmp/json.h"

namespace blockpull::driver::qemu {

struct ImageLevel {
  std::string node_name;
  /// An ImageInfo of QEMU.
  qmp::Json image;
};

/// `device` is an element of query-block, `stats` the one of query-blockstats at the same place.
/// Top first; empty for a device without a medium. kQemuError where the two do not fit.
[[nodiscard]] Result<std::vector<ImageLevel>> read_levels(const qmp::Json& device,
                                                          const qmp::Json& stats);

/// What query-block, or a list of nodes, says of which image is where, and nothing that changes by
/// itself: equal when the same is said again.
[[nodiscard]] std::string shape_of_devices(const qmp::Json& query_block);
[[nodiscard]] std::string shape_of_nodes(const qmp::Json& named_nodes);

/// The path in what QEMU calls a file name. A node that was opened with options of its own, or was
/// given another backing file than its header states, is called json:{…} with all of its options.
[[nodiscard]] std::string path_in(const std::string& filename);

/// Whether such a name says that only a part of the file is shown, as raw's `offset` and `size` do.
[[nodiscard]] bool is_part_of_file(const std::string& filename);

/// Whether a json: name has an image read through another image: raw over qcow2, LUKS over qcow2.
[[nodiscard]] bool is_over_image(const std::string& filename);

/// Whether a json: name says what lies below the image, whatever its own header states.
[[nodiscard]] bool states_backing(const std::string& filename);

}  // namespace blockpull::driver::qemu
