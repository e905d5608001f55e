// SPDX-License-Identifier: Apache-2.0
//
// What follows the end of a job on a domain's disk, for our own engine and for QEMU: the domain's
// XML is updated, and the connection's listener is notified.

#pragma once

#include <functional>
#include <optional>
#include <string>

#include "job/job.h"
#include "virt/domains/disk_ref.h"
#include "virt/domains/domain_store.h"
#include "virt/session/events.h"

namespace blockpull::virt {

/// What lies below the active layer; absent when it stands on its own.
using NewBacking = std::optional<driver::KeptLayer>;

/// The warning when the XML could not be updated.
[[nodiscard]] std::string xml_not_updated(const std::string& domain_name, const Error& why);

/// After a completed pull: updates the XML to what `look` finds, or adds a warning with the reason
/// why it could not.
void follow_in_xml(DomainStore& store, const DiskRef& disk, job::Outcome& outcome,
                   const std::function<blockpull::Result<NewBacking>()>& look);

/// Whether the job continues in its QEMU without this process, so has not ended.
[[nodiscard]] bool goes_on_without_us(const job::Outcome& outcome);

/// Returns a listener for the job's end that calls the connection's sink first, then `done`. If the
/// job continues without the connection, it has not ended, so no event is sent.
[[nodiscard]] std::function<void(const job::Outcome&)> tell_end(
    EventSink sink, DiskRef disk, std::function<void(const job::Outcome&)> done);

}  // namespace blockpull::virt
