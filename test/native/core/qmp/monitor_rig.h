// SPDX-License-Identifier: Apache-2.0
//
// A monitor and the scripted server behind it, with inboxes for all its callbacks.

#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "core/base/inbox.h"
#include "core/qmp/monitor.h"
#include "core/qmp/scripted_server.h"
#include "core/qmp/shared_monitor.h"
#include "files/temp_folder.h"

namespace blockpull::qmp {

/// The outcome of a query, with the answer as text: a Json stays on the reactor's thread.
struct Told {
  bool ok = false;
  std::string text;
  Error error;
  Peer peer;

  [[nodiscard]] ErrorKind kind() const { return error.kind; }
};

class MonitorRig : public testing::Test {
 protected:
  MonitorRig() : server_(std::make_unique<ScriptedServer>(path_)) {}

  void open(const Deadlines& deadlines = {}) {
    monitor_ = shared_monitor(net::Reactor::shared().value(), path_, deadlines);
  }

  /// Greeted and negotiated, on the server's side as well.
  ServedClient connect(const Deadlines& deadlines = {}) {
    open(deadlines);
    reach();
    ServedClient client = accept();
    client.greet();
    EXPECT_TRUE(told().ok);
    return client;
  }

  ServedClient accept() {
    auto client = server_->accept();
    EXPECT_TRUE(client) << "nobody connected";
    return client ? *std::move(client) : ServedClient(UniqueFd());
  }

  void reach() {
    monitor_->reach([told = told_](const Result<Peer>& peer) {
      Told what;
      what.ok = peer.ok();
      if (peer.ok()) {
        what.peer = *peer;
      } else {
        what.error = peer.error();
      }
      told->put(std::move(what));
    });
  }

  void execute(const std::string& name, bool changes_graph = false, std::string arguments = {}) {
    monitor_->execute({name, std::move(arguments), changes_graph},
                      [told = told_](const Result<Json>& answer) {
                        Told what;
                        what.ok = answer.ok();
                        if (answer.ok()) {
                          what.text = answer->text_or_empty();
                        } else {
                          what.error = answer.error();
                        }
                        told->put(std::move(what));
                      });
  }

  /// The next answer, in order of arrival.
  Told told() {
    auto what = told_->take();
    EXPECT_TRUE(what) << "no answer came";
    return what ? *std::move(what) : Told{};
  }

  std::uint64_t listen() {
    return monitor_->listen({[events = events_](const Event& event) { events->put(event.name); },
                             [links = links_](Link link) { links->put(link); }});
  }

  /// Waits until everything that was posted before has run.
  void settle() {
    Inbox<bool> done;
    monitor_->call_later(Nanoseconds(0), [&done] { done.put(true); });
    EXPECT_TRUE(done.take());
  }

  const files::TempFolder folder_;
  const std::string path_ = folder_ / "vm0.qmp";
  std::unique_ptr<ScriptedServer> server_;
  std::shared_ptr<Monitor> monitor_;
  const std::shared_ptr<Inbox<Told>> told_ = std::make_shared<Inbox<Told>>();
  const std::shared_ptr<Inbox<std::string>> events_ = std::make_shared<Inbox<std::string>>();
  const std::shared_ptr<Inbox<Link>> links_ = std::make_shared<Inbox<Link>>();
};

}  // namespace blockpull::qmp
