// SPDX-License-Identifier: Apache-2.0
//
// Makes what a running QEMU has written to a node durable. QMP has no command for this. Two steps
// flush and also report a failure (QEMU 6.1, the storage daemon too): add a filter of our own above
// the node, then reopen it with its own options:
//
//     blockdev-add     blkdebug filter above NODE, which may pass writes on
//     blockdev-reopen  the same: QEMU flushes what lies below first
//     blockdev-del
//
// Without `take-child-perms` the flush would end in the filter. If QEMU cannot do this, `qemu-io
// NODE flush` through the human monitor flushes as well. It does not report a failure
// (docs/qemu-defects.md, flush-failure-unreported), so the result says that such a flush was used.
//
//     QEMU refuses the filter because    it says               what follows
//     it has no such driver              no such driver        the human monitor flushes
//     one of ours is orphaned            Duplicate nodes       removed, once, and tried again
//     the node is read-only, after       Block node is         QEMU has flushed it then; checked
//       the job, and the guest is here     read-only             twice, as it may have come back
//     its images are inactive            the same              kGuestBusy
//     anything else                      anything else         the flush has failed
//
// If we die here, the filter stays; own_nodes.h says who removes it.
//
// Flushes of one node within a process take turns.
//
// Thread rule: any thread; `done` runs on the reactor's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/qmp/monitor.h"

namespace blockpull::driver::qemu {

/// kUnsupported if that QEMU offers no way to flush.
[[nodiscard]] Result<void> check_can_flush(const qmp::Peer& peer);

/// QEMU may open an image for writing only for the time of the job. It has flushed the image once
/// that is read-only again.
enum class FlushTime : std::uint8_t { kBeforeJobEnds, kAfterJobEnded };

struct Flushed {
  /// QEMU would have reported a failure.
  bool is_certain = true;
};

/// After a success everything that QEMU has written to that image is on its disk. kIo with QEMU's
/// words, kQemuError if QEMU refuses the commands, kGuestBusy, or an error of Monitor::Answer.
void flush_node(const std::shared_ptr<qmp::Monitor>& monitor, const std::string& node,
                FlushTime time, std::function<void(Result<Flushed>)> done);

}  // namespace blockpull::driver::qemu
