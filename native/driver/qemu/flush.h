// SPDX-License-Identifier: Apache-2.0
//
// Makes what a running QEMU has written to a node durable. QMP has no command for it. What flushes,
// and tells whether that worked, is to put a filter of our own above the node and to reopen it with
// the options that it has (QEMU 6.1, the storage daemon too):
//
//     blockdev-add     blkdebug filter above NODE, which may pass writes on
//     blockdev-reopen  the same: QEMU flushes what lies below first
//     blockdev-del
//
// Without `take-child-perms` the flush would end in the filter. Where QEMU cannot do this,
// `qemu-io NODE flush` through the human monitor flushes as well, but does not tell of a failure
// (docs/qemu-defects.md, flush-failure-unreported); that such a flush was made is told.
//
//     QEMU refuses the filter because    it says               what follows
//     it has none                        no such driver        the human monitor flushes
//     one of ours was left               Duplicate nodes       removed, once, and tried again
//     the node is read-only, after       Block node is         QEMU has flushed it then; asked
//       the job, and the guest is here     read-only             twice, as it may have come back
//     its images are inactive            the same              kGuestBusy
//     anything else                      anything else         the flush has failed
//
// Who is killed in between leaves the filter; own_nodes.h says what becomes of it.
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

/// kUnsupported where that QEMU offers no way to flush.
[[nodiscard]] Result<void> check_can_flush(const qmp::Peer& peer);

/// QEMU opens an image that is read-only for the time of the job, and has flushed it when it is
/// read-only again.
enum class FlushTime : std::uint8_t { kBeforeJobEnds, kAfterJobEnded };

struct Flushed {
  /// Had it failed, it would have been told.
  bool is_certain = true;
};

/// Once `done` is given success, everything that QEMU has written to that image is on its disk.
/// kIo with QEMU's words, kQemuError where it refuses to be asked, kGuestBusy, or what
/// Monitor::Answer says.
void flush_node(const std::shared_ptr<qmp::Monitor>& monitor, const std::string& node,
                FlushTime time, std::function<void(Result<Flushed>)> done);

}  // namespace blockpull::driver::qemu
