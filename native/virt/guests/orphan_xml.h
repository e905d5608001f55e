// SPDX-License-Identifier: Apache-2.0
//
// Updates the domain's XML after a pull that ended while nobody tracked it. The XML then states
// layers that its disk no longer has.
//
//     XML     top ─▶ mid ─▶ base
//     QEMU    top ────────▶ base      as the header of top states
//
// There are two causes: QEMU finalized a detached pull after its process had exited, or the process
// was killed after the end of the pull but before it updated the XML. The XML is updated only after
// a flush of the image. Otherwise a dying QEMU could lose the header, and a QEMU started with the
// new XML would open the image without layers that it still needs. If the XML differs in another
// way, somebody else changed it for a reason, and it stays.
//
// Thread rule: any thread; does not block. The answer comes on any thread.

#pragma once

#include <memory>

#include "driver/qemu/guest_view.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt {

/// Updates the XML of a domain, whose guest has shown `view`, where a pull explains the difference.
/// Answers with the reason if it could not. Succeeds if the connection or QEMU is gone.
void update_orphaned_xml(const std::shared_ptr<Connection>& connection, const Domain& domain,
                         const driver::qemu::GuestView& view, Answer<void> done);

}  // namespace blockpull::virt
