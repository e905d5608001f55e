// SPDX-License-Identifier: Apache-2.0
//
// What the end of a job on a domain's disk leads to, whoever did the work: the domain's XML
// follows, and the connection's listener is told.

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

/// What is told where the XML could not be brought in step.
[[nodiscard]] std::string xml_not_updated(const std::string& domain_name, const Error& why);

/// After a completed pull: brings the XML in step with what `look` finds, or adds a warning that
/// says why not.
void follow_in_xml(DomainStore& store, const DiskRef& disk, job::Outcome& outcome,
                   const std::function<blockpull::Result<NewBacking>()>& look);

/// Whether the job continues in its QEMU without this process: it has not ended then.
[[nodiscard]] bool goes_on_without_us(const job::Outcome& outcome);

/// A listener for the job's end that tells the connection's first, then `told`. A job that goes on
/// without the connection has not ended, so nobody is told an event of it.
[[nodiscard]] std::function<void(const job::Outcome&)> tell_end(
    EventSink sink, DiskRef disk, std::function<void(const job::Outcome&)> told);

}  // namespace blockpull::virt
