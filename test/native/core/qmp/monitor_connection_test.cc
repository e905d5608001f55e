// SPDX-License-Identifier: Apache-2.0
//
// How a monitor's connection is made, kept, lost and restored.

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/qmp/monitor.h"
#include "core/qmp/monitor_rig.h"
#include "core/qmp/monitor_socket.h"

namespace blockpull::qmp {
namespace {

using std::chrono::milliseconds;

class MonitorConnectionTest : public MonitorRig {};

constexpr Deadlines kImpatient{milliseconds(50), milliseconds(50), milliseconds(50)};

TEST_F(MonitorConnectionTest, AGuestWithoutAListenerIsShutOff) {
  server_->stop();
  open();
  reach();
  const Told peer = told();
  EXPECT_TRUE(peer.ok);
  EXPECT_FALSE(peer.peer.is_there);
  execute("query-block");
  EXPECT_EQ(told().kind(), ErrorKind::kMonitorLost);
}

TEST_F(MonitorConnectionTest, AGreetingMayComeByteByByte) {
  open();
  reach();
  ServedClient client = accept();
  for (const char& byte : kGreetingText) {
    client.say({&byte, 1});
  }
  client.answer(client.expect("qmp_capabilities"), "{}");
  client.answer(client.expect("query-commands"), R"([{"name": "block-stream"}, {}, 7])");
  const Told reached = told();
  ASSERT_TRUE(reached.ok);
  EXPECT_TRUE(reached.peer.is_there);
  EXPECT_EQ(reached.peer.version, (QemuVersion{7, 2, 22}));
  EXPECT_TRUE(reached.peer.offers("block-stream"));
  EXPECT_FALSE(reached.peer.offers("job-finalize"));
}

TEST_F(MonitorConnectionTest, AnswersForAnEarlierClientAreSkipped) {
  open();
  reach();
  ServedClient client = accept();
  client.say(R"({"return": {}, "id": 1} {"id": 2, "error": {"class": "GenericError"}})");
  client.tell("JOB_STATUS_CHANGE");
  client.greet();
  EXPECT_TRUE(told().ok);
}

TEST_F(MonitorConnectionTest, WithoutAGreetingInTimeItIsBusyAndDisconnected) {
  open(kImpatient);
  reach();
  execute("query-block");
  ServedClient client = accept();
  const Told reached = told();
  EXPECT_EQ(reached.kind(), ErrorKind::kMonitorBusy);
  EXPECT_NE(reached.error.message.find("sent no greeting in 50 ms"), std::string::npos);
  EXPECT_EQ(told().kind(), ErrorKind::kMonitorBusy);
  EXPECT_TRUE(client.is_left());
}

TEST_F(MonitorConnectionTest, APermanentlyFullQueueIsBusy) {
  // The backlog holds two, and nobody accepts them.
  const auto first = connect_monitor(path_);
  const auto second = connect_monitor(path_);
  ASSERT_TRUE(second.ok() && second->fd.is_open());
  open(kImpatient);
  reach();
  const Told reached = told();
  EXPECT_EQ(reached.kind(), ErrorKind::kMonitorBusy);
  EXPECT_NE(reached.error.message.find("other clients waiting"), std::string::npos);
}

TEST_F(MonitorConnectionTest, WaitsForAFullQueueWhoseClientsHaveGone) {
  // Two earlier checks of whether the domain runs leave these in the queue.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(connect_monitor(path_)->reached, net::Reached::kConnected);
  }
  open();
  reach();
  execute("query-block");
  settle();
  EXPECT_EQ(told_->size(), 0U);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(accept().is_left());
  }
  ServedClient client = accept();
  client.greet();
  EXPECT_TRUE(told().ok);
  client.answer(client.expect("query-block"), R"("here")");
  EXPECT_EQ(told().text, "here");
}

TEST_F(MonitorConnectionTest, AMonitorReleasedInAFullQueueAnswersClosed) {
  const auto first = connect_monitor(path_);
  const auto second = connect_monitor(path_);
  open();
  reach();
  settle();
  monitor_.reset();
  EXPECT_EQ(told().kind(), ErrorKind::kClosed);
}

TEST_F(MonitorConnectionTest, AnotherGreetingIsReportedWithItsFirstBytes) {
  const std::vector<std::pair<std::string, std::string>> greetings{
      {"QEMU 7.2.22 monitor - type 'help' for more information\r\n", "human monitor, not QMP"},
      {"(qemu) ", "human monitor, not QMP"},
      {"HTTP/1.1 400 Bad Request\r\n", "starts with 'HTTP/1.1 400 Bad Request..' (byte 0x48)"},
      {"\xff\xfd", "starts with '..' (byte 0xff)"},
      {R"({"jsonrpc": "2.0"})", "does not speak QMP"},
      {"{]", "does not speak QMP"},
  };
  for (const auto& [greeting, words] : greetings) {
    open();
    reach();
    ServedClient client = accept();
    client.say(greeting);
    const Told reached = told();
    EXPECT_EQ(reached.kind(), ErrorKind::kInvalidArgument) << greeting;
    EXPECT_NE(reached.error.message.find(words), std::string::npos) << reached.error.message;
    EXPECT_TRUE(client.is_left());
    monitor_.reset();
  }
}

TEST_F(MonitorConnectionTest, GarbageFromAQmpServerOnlyLosesTheConnection) {
  ServedClient client = connect();
  static_cast<void>(listen());
  EXPECT_EQ(links_->take(), Link::kUp);
  client.hang_up();
  EXPECT_EQ(links_->take(), Link::kLost);
  execute("query-block");
  ServedClient again = accept();
  again.say("QEMU 7.2.22 monitor - type 'help' for more information\r\n");
  EXPECT_EQ(told().kind(), ErrorKind::kMonitorLost);
}

TEST_F(MonitorConnectionTest, AServerThatClosesWithoutAGreetingIsLost) {
  open();
  reach();
  accept().hang_up();
  const Told reached = told();
  EXPECT_EQ(reached.kind(), ErrorKind::kMonitorLost);
  EXPECT_NE(reached.error.message.find("without a greeting"), std::string::npos);
}

TEST_F(MonitorConnectionTest, ARefusedNegotiationIsToldWithQemusWords) {
  open();
  reach();
  execute("query-block");
  settle();
  ServedClient client = accept();
  client.say(kGreetingText);
  client.refuse(client.expect("qmp_capabilities"), "GenericError", "not today");
  const Told reached = told();
  EXPECT_EQ(reached.kind(), ErrorKind::kQemuError);
  EXPECT_NE(reached.error.message.find("not today"), std::string::npos);
  EXPECT_EQ(told().kind(), ErrorKind::kQemuError);
  EXPECT_TRUE(client.is_left());
  EXPECT_EQ(told_->size(), 0U);
}

TEST_F(MonitorConnectionTest, ANegotiationThatIsNotAnsweredHasItsDeadline) {
  open({std::chrono::seconds(20), milliseconds(50), milliseconds(50)});
  reach();
  ServedClient client = accept();
  client.say(kGreetingText);
  EXPECT_EQ(told().kind(), ErrorKind::kMonitorTimeout);
  EXPECT_TRUE(client.is_left());
}

TEST_F(MonitorConnectionTest, AnUnusedConnectionIsClosedAndReopenedOnDemand) {
  ServedClient client = connect();
  EXPECT_TRUE(client.is_left());
  execute("query-block");
  ServedClient again = accept();
  again.greet();
  again.answer(again.expect("query-block"), R"("second")");
  EXPECT_EQ(told().text, "second");
}

TEST_F(MonitorConnectionTest, AListenerKeepsTheConnectionUntilItIsIgnored) {
  ServedClient client = connect();
  const auto listener = listen();
  EXPECT_EQ(links_->take(), Link::kUp);
  Inbox<bool> rested;
  monitor_->call_later(milliseconds(1300), [&rested] { rested.put(true); });
  EXPECT_TRUE(rested.take());
  EXPECT_TRUE(client.is_quiet());
  client.tell("STOP");
  EXPECT_EQ(events_->take(), "STOP");
  monitor_->ignore(listener);
  EXPECT_TRUE(client.is_left());
}

/// Holds the reactor's thread between the calls posted before it and after it.
class Gate {
 public:
  Gate() {
    net::Reactor::shared().value()->post([reached = reached_, opened = opened_] {
      reached->put(true);
      static_cast<void>(opened->take());
    });
  }
  void wait_until_reached() { EXPECT_TRUE(reached_->take()); }
  void open() { opened_->put(true); }

 private:
  const std::shared_ptr<Inbox<bool>> reached_ = std::make_shared<Inbox<bool>>();
  const std::shared_ptr<Inbox<bool>> opened_ = std::make_shared<Inbox<bool>>();
};

TEST_F(MonitorConnectionTest, AFailedSendDoesNotEndTheNextConnection) {
  ServedClient client = connect();
  Gate all;
  all.wait_until_reached();
  Gate first;
  execute("query-block");
  Gate second;
  execute("query-block");
  all.open();
  first.wait_until_reached();
  client.hang_up();
  first.open();
  second.wait_until_reached();
  // This comes between the failures of the two.
  execute("query-status");
  second.open();
  EXPECT_EQ(told().kind(), ErrorKind::kMonitorLost);
  EXPECT_EQ(told().kind(), ErrorKind::kMonitorLost);
  ServedClient again = accept();
  again.greet();
  again.answer(again.expect("query-status"), R"("second")");
  EXPECT_EQ(told().text, "second");
}

TEST_F(MonitorConnectionTest, AListenersConnectionIsAlwaysReconnected) {
  open();
  static_cast<void>(listen());
  for (int round = 0; round < 3; ++round) {
    ServedClient client = accept();
    client.greet();
    EXPECT_EQ(links_->take(), Link::kUp);
    client.hang_up();
    EXPECT_EQ(links_->take(), Link::kLost);
  }
}

TEST_F(MonitorConnectionTest, AListenerWaitsForABusyMonitor) {
  open(kImpatient);
  static_cast<void>(listen());
  for (int round = 0; round < 2; ++round) {
    ServedClient silent = accept();
    EXPECT_TRUE(silent.is_left());
  }
  // Negotiated within 50 ms, or tried again.
  while (links_->size() == 0) {
    ServedClient client = accept();
    client.greet();
    settle();
  }
  EXPECT_EQ(links_->take(), Link::kUp);
}

TEST_F(MonitorConnectionTest, AListenerIsNotifiedOfQemusEndAndReplacement) {
  open();
  static_cast<void>(listen());
  ServedClient client = accept();
  client.greet();
  EXPECT_EQ(links_->take(), Link::kUp);
  server_->stop();
  client.hang_up();
  EXPECT_EQ(links_->take(), Link::kLost);
  EXPECT_EQ(links_->take(), Link::kGone);
  server_ = std::make_unique<ScriptedServer>(path_);
  ServedClient next = accept();
  next.greet();
  auto link = links_->take();
  while (link == Link::kGone) {
    link = links_->take();
  }
  EXPECT_EQ(link, Link::kUp);
}

TEST_F(MonitorConnectionTest, IsSilentForAsLongAsAGreetingOrAnAnswerIsOwed) {
  open();
  EXPECT_EQ(monitor_->silent_for(), Nanoseconds(0));
  reach();
  settle();
  EXPECT_GT(monitor_->silent_for(), Nanoseconds(0));
  ServedClient client = accept();
  client.greet();
  EXPECT_TRUE(told().ok);
  settle();
  EXPECT_EQ(monitor_->silent_for(), Nanoseconds(0));
  execute("query-block");
  settle();
  EXPECT_GT(monitor_->silent_for(), Nanoseconds(0));
  client.answer(client.expect("query-block"), R"("here")");
  EXPECT_EQ(told().text, "here");
  settle();
  EXPECT_EQ(monitor_->silent_for(), Nanoseconds(0));
}

TEST_F(MonitorConnectionTest, AnyReceivedByteResetsTheSilence) {
  const MonotonicClock clock;
  ServedClient client = connect();
  static_cast<void>(listen());
  execute("query-block");
  settle();
  const Nanoseconds asked = clock.now();
  while (clock.now() - asked < milliseconds(2)) {
  }
  const Nanoseconds before = clock.now();
  client.tell("STOP");
  EXPECT_EQ(events_->take(), "STOP");
  settle();
  EXPECT_GT(monitor_->silent_for(), Nanoseconds(0));
  EXPECT_LE(monitor_->silent_for(), clock.now() - before);
}

TEST_F(MonitorConnectionTest, ATimedOutAnswerIsStillOwed) {
  ServedClient client = connect({std::chrono::seconds(5), milliseconds(50), milliseconds(50)});
  static_cast<void>(listen());
  execute("query-block");
  const Request asked = client.expect("query-block");
  EXPECT_EQ(told().kind(), ErrorKind::kMonitorTimeout);
  EXPECT_GE(monitor_->silent_for(), milliseconds(50));
  client.answer(asked, "{}");
  client.tell("STOP");
  EXPECT_EQ(events_->take(), "STOP");
  settle();
  EXPECT_EQ(monitor_->silent_for(), Nanoseconds(0));
}

TEST_F(MonitorConnectionTest, ARepeatedlyBusyMonitorCountsAsSilentThroughout) {
  open(kImpatient);
  static_cast<void>(listen());
  for (int round = 0; round < 2; ++round) {
    ServedClient silent = accept();
    EXPECT_TRUE(silent.is_left());
  }
  EXPECT_GE(monitor_->silent_for(), 2 * kImpatient.connect);
  server_->stop();
  EXPECT_EQ(links_->take(), Link::kGone);
  settle();
  EXPECT_EQ(monitor_->silent_for(), Nanoseconds(0));
}

TEST_F(MonitorConnectionTest, UsersOfASocketShareOneMonitor) {
  open();
  const auto same = shared_monitor(net::Reactor::shared().value(), path_, kImpatient);
  EXPECT_EQ(same, monitor_);
  EXPECT_NE(shared_monitor(net::Reactor::shared().value(), folder_ / "vm1.qmp", {}), monitor_);
}

TEST_F(MonitorConnectionTest, AReleasedMonitorDisconnectsAndTheNextReconnects) {
  ServedClient client = connect();
  static_cast<void>(listen());
  EXPECT_EQ(links_->take(), Link::kUp);
  monitor_.reset();
  EXPECT_TRUE(client.is_left());
  connect();
  EXPECT_EQ(links_->size(), 0U);
}

TEST_F(MonitorConnectionTest, AMonitorReleasedBeforeTheGreetingAnswersClosed) {
  open();
  reach();
  ServedClient client = accept();
  monitor_.reset();
  EXPECT_EQ(told().kind(), ErrorKind::kClosed);
  EXPECT_TRUE(client.is_left());
}

}  // namespace
}  // namespace blockpull::qmp
