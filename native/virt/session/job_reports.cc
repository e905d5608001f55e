// SPDX-License-Identifier: Apache-2.0

#include "virt/session/job_reports.h"

#include <utility>

#include "core/base/text.h"

namespace blockpull::virt {
namespace {

BlockJobEvent event_of(const DiskRef& disk, const job::Outcome& outcome) {
  BlockJobEvent event;
  event.domain_name = disk.domain_name;
  event.domain_uuid = disk.domain_uuid;
  event.target = disk.target;
  event.path = disk.source;
  event.type = type_of(outcome.kind);
  event.status = status_of(outcome.state);
  if (outcome.error) {
    event.error = plain(*outcome.error);
  }
  return event;
}

}  // namespace

std::string xml_not_updated(const std::string& domain_name, const Error& why) {
  return text("domain XML of '", domain_name, "' was not updated: ", why.message);
}

void follow_in_xml(DomainStore& store, const DiskRef& disk, job::Outcome& outcome,
                   const std::function<blockpull::Result<NewBacking>()>& look) {
  if (outcome.state != job::State::kCompleted) {
    return;
  }
  const auto update = [&]() -> blockpull::Result<void> {
    BLOCKPULL_TRY(backing, look());
    return store.backing_changed(disk.domain_name, {disk.target, disk.source, std::move(backing)});
  };
  if (auto updated = update(); !updated.ok()) {
    outcome.warnings.push_back(xml_not_updated(disk.domain_name, updated.error()));
  }
}

bool goes_on_without_us(const job::Outcome& outcome) {
  return outcome.error && (outcome.error->kind == ErrorKind::kClosed ||
                           outcome.error->kind == ErrorKind::kMonitorTimeout);
}

std::function<void(const job::Outcome&)> tell_end(EventSink sink, DiskRef disk,
                                                  std::function<void(const job::Outcome&)> done) {
  return [sink = std::move(sink), disk = std::move(disk),
          done = std::move(done)](const job::Outcome& outcome) {
    if (!goes_on_without_us(outcome)) {
      sink(event_of(disk, outcome));
    }
    if (done) {
      done(outcome);
    }
  };
}

}  // namespace blockpull::virt
