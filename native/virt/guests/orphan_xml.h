// SPDX-License-Identifier: Apache-2.0
//
// What a pull that ended unfollowed leaves in its domain's XML: layers that its disk has no more.
//
//     XML     top ─▶ mid ─▶ base
//     QEMU    top ────────▶ base      and so says the header of top
//
// A pull that QEMU finalizes by itself (detached) ends so when its process has gone, and one whose
// process was killed between that end and the XML. The XML follows once the image has been flushed:
// it must not be ahead of a header that a dying QEMU could lose, as QEMU, told to by the XML, would
// open the image without what it still needs. Where the two differ otherwise, somebody else has
// had a reason, and the XML stays.
//
// Thread rule: any thread, and does not block; the answer comes on any thread.

#pragma once

#include <memory>

#include "driver/qemu/guest_view.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt {

/// Brings the XML of a domain whose guest has shown `view` in step, where a pull explains the
/// difference. Answers with why it could not, but not where the connection or QEMU is gone.
void follow_left_in_xml(const std::shared_ptr<Connection>& connection, const Domain& domain,
                        const driver::qemu::GuestView& view, Answer<void> answer);

}  // namespace blockpull::virt
