// SPDX-License-Identifier: Apache-2.0
//
// One disk's images, level by level, combined from two answers of QEMU:
//
//     query-block        inserted.image ─backing-image─▶ … ─▶ …      what each image is
//     query-blockstats   node-name      ─backing──────▶ … ─▶ …      what its node is called
//
// Both answers nest alike: one level for each image and for each filter that a user added, none for
// the filters of QEMU's own jobs. So the name and the image of one level belong together, whatever
// filters there are, and no guess is needed. Answers of unequal depth are refused.
// (query-blockstats shows what is below a filter twice, also as `parent`; that member is ignored.)
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

/// `device` is an element of query-block, `stats` the element of query-blockstats at the same
/// index. Top first; empty for a device without a medium. kQemuError if the two do not match.
[[nodiscard]] Result<std::vector<ImageLevel>> read_levels(const qmp::Json& device,
                                                          const qmp::Json& stats);

/// The part of query-block, or of a list of nodes, that says which image is where. It leaves out
/// values that change by themselves, so two equal answers mean an unchanged graph.
[[nodiscard]] std::string shape_of_devices(const qmp::Json& query_block);
[[nodiscard]] std::string shape_of_nodes(const qmp::Json& named_nodes);

/// The path in QEMU's file name. QEMU writes json:{…} with all options for a node that was opened
/// with options of its own, or with another backing file than its header states.
[[nodiscard]] std::string path_in(const std::string& filename);

/// Whether such a name shows only a part of the file, as raw's `offset` and `size` do.
[[nodiscard]] bool is_part_of_file(const std::string& filename);

/// Whether a json: name describes an image read through another image: raw over qcow2, LUKS over
/// qcow2.
[[nodiscard]] bool is_over_image(const std::string& filename);

/// Whether a json: name states what lies below the image, regardless of the image's header.
[[nodiscard]] bool states_backing(const std::string& filename);

}  // namespace blockpull::driver::qemu
