// SPDX-License-Identifier: Apache-2.0

#include "virt/calls/event_book.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"

namespace blockpull::virt {
namespace {

Failure invalid_argument(std::string_view detail) {
  return report(ErrorKind::kInvalidArgument, ErrorCode::kInvalidArg, ErrorDomain::kNone, detail);
}

}  // namespace

Result<int> EventBook::add(EventRegistration registration) {
  const std::lock_guard lock(mutex_);
  const bool is_tracked = std::ranges::any_of(entries_, [&registration](const Entry& entry) {
    const EventRegistration& known = entry.registration;
    return known.event == registration.event && known.domain_uuid == registration.domain_uuid &&
           known.callback == registration.callback;
  });
  if (is_tracked) {
    return invalid_argument("event callback already tracked");
  }
  entries_.push_back({next_id_, std::move(registration)});
  return next_id_++;
}

Result<void> EventBook::remove(int id) {
  const std::lock_guard lock(mutex_);
  if (std::erase_if(entries_, [id](const Entry& entry) { return entry.id == id; }) == 0) {
    return invalid_argument(text("event callback id ", id, " not registered"));
  }
  return {};
}

EventNotice EventBook::notice(int event, const std::string& disk,
                              const std::string& domain_uuid) const {
  EventNotice notice{event, disk, {}};
  for (const Entry& entry : entries_) {
    const EventRegistration& known = entry.registration;
    if (known.event == event && known.domain_uuid.value_or(domain_uuid) == domain_uuid) {
      notice.registrations.push_back(entry.id);
    }
  }
  return notice;
}

std::vector<EventNotice> EventBook::notices(const BlockJobEvent& event) const {
  const std::lock_guard lock(mutex_);
  std::vector<EventNotice> notices;
  // libvirt does not send event 8 when there is no path to name.
  if (event.path.starts_with('/')) {
    notices.push_back(notice(event_id::kBlockJob, event.path, event.domain_uuid));
  }
  notices.push_back(notice(event_id::kBlockJob2, event.target, event.domain_uuid));
  return notices;
}

}  // namespace blockpull::virt
