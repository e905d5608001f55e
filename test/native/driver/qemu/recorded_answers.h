// SPDX-License-Identifier: Apache-2.0
//
// Answers of QEMU 7.2.22, kept in answers/: query-block, query-blockstats,
// x-debug-query-block-graph and, in some files, query-status, query-migrate,
// query-named-block-nodes and query-block-jobs. Each is cut down to the members that describe
// images. The disks:
//
//     drive-guest                  -drive vda: top.qcow2 ─▶ sub/mid.qcow2 ─▶ ../base.img; a second
//                                  -drive, by a relative name: other.qcow2 ─▶ base.img
//     drive-guest-with-job         the same while vda is streamed: QEMU's filter is on top of it
//     blockdev-guest               -blockdev: "top" and "top2" share "base"; a throttle filter is
//                                  on "top2"; backing files other than the headers state
//     unsafe-images                extended L2; internal snapshots
//     storage-daemon, …-with-job   qemu-storage-daemon: no devices

#pragma once

#include <string>

#include "core/qmp/json.h"

namespace blockpull::driver::qemu {

/// The object in answers/<name>.json: "devices", "stats", "graph", "status", "migrate", "nodes",
/// "jobs".
[[nodiscard]] qmp::Json recorded(const std::string& name);

}  // namespace blockpull::driver::qemu
