// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/fake_monitor.h"

#include <utility>

#include "core/base/text.h"

namespace blockpull::driver::qemu {

using qmp::Json;
using qmp::Link;

void FakeMonitor::reach(std::function<void(Result<qmp::Peer>)> told) {
  asked_.push_back({{}, {}, std::move(told)});
}

void FakeMonitor::execute(qmp::Command command, Answer answer) {
  asked_.push_back({std::move(command), std::move(answer), {}});
}

std::uint64_t FakeMonitor::listen(qmp::Listener listener) {
  const std::uint64_t id = next_listener_++;
  listeners_.emplace(id, std::move(listener));
  later_.push_back([this, id] {
    const auto found = listeners_.find(id);
    if (found != listeners_.end() && is_up_) {
      found->second.on_link(Link::kUp);
    }
  });
  return id;
}

std::string FakeMonitor::next() const {
  if (asked_.empty() || !later_.empty() || (is_up_ && !qemu_.events.empty())) {
    return {};
  }
  const Asked& first = asked_.front();
  if (first.told) {
    return "reach";
  }
  const std::string& name = first.command.name;
  return name == "human-monitor-command" || name == "blockdev-reopen" ? "flush" : name;
}

Result<Json> FakeMonitor::done(const qmp::Command& command) {
  BLOCKPULL_TRY(arguments, Json::parse(command.arguments.empty() ? "{}" : command.arguments));
  BLOCKPULL_TRY(value, qemu_.execute(command.name, arguments));
  BLOCKPULL_TRY(answer, Json::parse(text(R"({"return": )", value, "}")));
  return answer.member("return");
}

bool FakeMonitor::step(Failing how) {
  if (!later_.empty()) {
    const auto callback = std::move(later_.front());
    later_.pop_front();
    callback();
    return true;
  }
  if (is_up_ && !qemu_.events.empty()) {
    const FakeQemu::Event event = std::move(qemu_.events.front());
    qemu_.events.pop_front();
    tell({event.name, *Json::parse(event.data)});
    return true;
  }
  if (asked_.empty()) {
    return false;
  }
  if (!is_up_ || how == Failing::kLostBefore) {
    lose(ErrorKind::kMonitorLost);
    return true;
  }
  Asked first = std::move(asked_.front());
  asked_.pop_front();
  if (first.told) {
    qmp::Peer peer{true, {7, 2, 22}, nullptr};
    auto commands = std::make_shared<std::set<std::string, std::less<>>>();
    const Json offered = Json::parse(qemu_.commands()).value();
    for (std::size_t i = 0; i < offered.size(); ++i) {
      commands->insert(offered.at(i).member("name").text_or_empty());
    }
    peer.commands = std::move(commands);
    first.told(peer);
  } else if (how == Failing::kRefused) {
    first.answer(make_error(ErrorKind::kQemuError, text(first.command.name, " is refused")));
  } else if (how == Failing::kNothing) {
    first.answer(done(first.command));
  } else {
    static_cast<void>(done(first.command));
    if (how == Failing::kLostAfter) {
      lose(ErrorKind::kMonitorLost);
    }
    first.answer(make_error(
        how == Failing::kLate ? ErrorKind::kMonitorTimeout : ErrorKind::kMonitorLost, "no answer"));
  }
  return true;
}

void FakeMonitor::lose(ErrorKind kind) {
  const bool was_up = std::exchange(is_up_, false);
  qemu_.events.clear();
  for (Asked& asked : std::exchange(asked_, {})) {
    if (!asked.told) {
      asked.answer(make_error(kind, "the monitor is lost"));
    } else if (is_gone_) {
      asked.told(qmp::Peer{});
    } else {
      asked.told(make_error(kind, "the monitor is lost"));
    }
  }
  if (was_up) {
    tell(Link::kLost);
  }
}

void FakeMonitor::restore() {
  if (!is_gone_ && !std::exchange(is_up_, true)) {
    qemu_.events.clear();
    tell(Link::kUp);
  }
}

void FakeMonitor::end_qemu() {
  is_gone_ = true;
  lose(ErrorKind::kMonitorLost);
  tell(Link::kGone);
}

void FakeMonitor::tell(Link link) {
  for (const auto& [id, listener] : std::map(listeners_)) {
    listener.on_link(link);
  }
}

void FakeMonitor::tell_change() {
  if (!is_up_ || !qemu_.job) {
    return;
  }
  const auto data = Json::parse(
      text(R"({"id": ")", qemu_.job->id, R"(", "status": ")", qemu_.job->status, "\"}"));
  tell(qmp::Event{"JOB_STATUS_CHANGE", *data});
}

void FakeMonitor::tell(const qmp::Event& event) {
  for (const auto& [id, listener] : std::map(listeners_)) {
    listener.on_event(event);
  }
}

}  // namespace blockpull::driver::qemu
