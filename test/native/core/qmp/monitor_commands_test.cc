// SPDX-License-Identifier: Apache-2.0
//
// Each command is answered exactly once, whatever comes back, or does not.

#include <atomic>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "core/qmp/monitor_rig.h"

namespace blockpull::qmp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class MonitorCommandsTest : public MonitorRig {};

TEST_F(MonitorCommandsTest, AnswersAreMatchedByIdInWhateverOrderTheyCome) {
  ServedClient client = connect();
  for (const char* const name : {"a", "b", "c"}) {
    execute(name);
  }
  const Request first = client.expect("a");
  const Request second = client.expect("b");
  const Request third = client.expect("c");
  client.answer(third, R"("of c")");
  client.tell("STOP");
  client.answer(first, R"("of a")");
  client.answer({"", 4711, {}}, R"("of nobody")");
  client.answer(second, R"("of b")");
  EXPECT_EQ(told().text, "of c");
  EXPECT_EQ(told().text, "of a");
  EXPECT_EQ(told().text, "of b");
  EXPECT_EQ(told_->size(), 0U);
}

TEST_F(MonitorCommandsTest, CommandsBeforeTheGreetingAreSentAfterItInOrder) {
  open();
  execute("a");
  execute("b", true, R"({"id": "x"})");
  ServedClient client = accept();
  client.greet();
  client.expect("a");
  EXPECT_EQ(client.expect("b").arguments.member("id").text(), "x");
}

TEST_F(MonitorCommandsTest, ARefusalHasQemusWordsAndItsClass) {
  ServedClient client = connect();
  execute("job-cancel");
  client.refuse(client.expect("job-cancel"), "DeviceNotActive", "Block job 'x' not found");
  const Told refused = told();
  EXPECT_EQ(refused.kind(), ErrorKind::kQemuError);
  EXPECT_EQ(refused.error.qemu->error_class, "DeviceNotActive");
  EXPECT_EQ(refused.error.path, path_);
  EXPECT_NE(refused.error.message.find("Block job 'x' not found"), std::string::npos);
}

TEST_F(MonitorCommandsTest, ALateCommandFailsAndItsAnswerIsDropped) {
  ServedClient client = connect({seconds(20), milliseconds(50), seconds(20)});
  execute("query-block");
  const Request late = client.expect("query-block");
  const Told overdue = told();
  EXPECT_EQ(overdue.kind(), ErrorKind::kMonitorTimeout);
  EXPECT_NE(overdue.error.message.find("'query-block' for 50 ms"), std::string::npos)
      << overdue.error.message;
  // The patient one; by its answer the late one has been read.
  execute("job-finalize", true);
  client.answer(late, R"("late")");
  client.answer(client.expect("job-finalize"), R"("in time")");
  EXPECT_EQ(told().text, "in time");
  EXPECT_EQ(told_->size(), 0U);
}

TEST_F(MonitorCommandsTest, CommandsThatChangeTheGraphHaveTheirOwnDeadline) {
  ServedClient client = connect({seconds(20), seconds(20), milliseconds(50)});
  execute("query-block");
  execute("job-finalize", true);
  const Request patient = client.expect("query-block");
  EXPECT_EQ(told().kind(), ErrorKind::kMonitorTimeout);
  client.answer(patient, R"("there")");
  EXPECT_EQ(told().text, "there");
}

TEST_F(MonitorCommandsTest, AnErrorWithoutAnIdEndsTheConnectionAndAllThatWaits) {
  ServedClient client = connect();
  execute("a");
  execute("b");
  client.expect("a");
  client.expect("b");
  client.say(R"({"error": {"class": "GenericError", "desc": "JSON parse error, stray"}})");
  for (int i = 0; i < 2; ++i) {
    const Told lost = told();
    EXPECT_EQ(lost.kind(), ErrorKind::kMonitorLost);
    EXPECT_NE(lost.error.message.find("stray"), std::string::npos);
  }
  EXPECT_TRUE(client.is_left());
  execute("c");
  ServedClient next = accept();
  next.greet();
  next.answer(next.expect("c"), R"("anew")");
  EXPECT_EQ(told().text, "anew");
}

TEST_F(MonitorCommandsTest, CommandsInFlightWhenQemuEndsFailOnce) {
  ServedClient client = connect();
  for (int i = 0; i < 5; ++i) {
    execute("query-block");
  }
  settle();
  client.answer(client.expect("query-block"), R"("answered")");
  client.hang_up();
  EXPECT_EQ(told().text, "answered");
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(told().kind(), ErrorKind::kMonitorLost);
  }
  settle();
  EXPECT_EQ(told_->size(), 0U);
}

TEST_F(MonitorCommandsTest, ReleasingAMonitorAnswersCommandsInFlightAsUnknown) {
  ServedClient client = connect();
  execute("job-finalize", true);
  client.expect("job-finalize");
  execute("query-block");
  monitor_.reset();
  EXPECT_EQ(told().kind(), ErrorKind::kClosed);
  EXPECT_EQ(told().kind(), ErrorKind::kClosed);
  EXPECT_TRUE(client.is_left());
}

TEST_F(MonitorCommandsTest, ALargeAnswerInManyPiecesArrivesWhole) {
  ServedClient client = connect();
  execute("query-qmp-schema");
  const Request request = client.expect("query-qmp-schema");
  const std::string large(std::size_t{3} << 20U, 's');
  client.answer(request, text('"' + large + '"'));
  EXPECT_EQ(told().text, large);
}

TEST_F(MonitorCommandsTest, APeerThatReadsNothingIsLostBeforeItCostsMuch) {
  ServedClient client = connect();
  const std::string large = text(R"({"filler": ")", std::string(std::size_t{1} << 20U, 'f'), "\"}");
  for (int i = 0; i < 6; ++i) {
    execute("a", false, large);
  }
  for (int i = 0; i < 6; ++i) {
    const Told lost = told();
    EXPECT_EQ(lost.kind(), ErrorKind::kMonitorLost);
    EXPECT_NE(lost.error.message.find("does not read its requests"), std::string::npos)
        << lost.error.message;
  }
}

TEST_F(MonitorCommandsTest, AnIgnoredListenerIsSilentAndTheOthersAreNot) {
  ServedClient client = connect();
  const auto other = std::make_shared<Inbox<std::string>>();
  const auto ignored = listen();
  static_cast<void>(
      monitor_->listen({[other](const Event& event) { other->put(event.name); }, [](Link) {}}));
  EXPECT_EQ(links_->take(), Link::kUp);
  client.tell("STOP");
  EXPECT_EQ(other->take(), "STOP");
  EXPECT_EQ(events_->take(), "STOP");
  monitor_->ignore(ignored);
  settle();
  client.tell("RESUME");
  EXPECT_EQ(other->take(), "RESUME");
  EXPECT_EQ(events_->size(), 0U);
}

TEST_F(MonitorCommandsTest, ManyMonitorsAreServedByOneThreadEachWithItsOwnAnswers) {
  constexpr int kMonitors = 40;
  struct Guest {
    std::unique_ptr<ScriptedServer> server;
    std::shared_ptr<Monitor> monitor;
    std::unique_ptr<ServedClient> client;
  };
  std::vector<Guest> guests;
  for (int i = 0; i < kMonitors; ++i) {
    const std::string path = folder_ / text("guest", i);
    Guest guest{std::make_unique<ScriptedServer>(path),
                shared_monitor(net::Reactor::shared().value(), path, {}), nullptr};
    guest.monitor->execute({"query-name", "", false}, [told = told_](const Result<Json>& answer) {
      told->put({answer.ok(), answer.ok() ? answer->text_or_empty() : "", {}, {}});
    });
    guests.push_back(std::move(guest));
  }
  std::set<std::string> expected;
  for (Guest& guest : guests) {
    auto client = guest.server->accept();
    ASSERT_TRUE(client);
    client->greet();
    guest.client = std::make_unique<ServedClient>(*std::move(client));
  }
  for (auto guest = guests.rbegin(); guest != guests.rend(); ++guest) {
    const std::string name = guest->monitor->path();
    guest->client->answer(guest->client->expect("query-name"), text('"' + name + '"'));
    expected.insert(name);
  }
  std::set<std::string> answered;
  for (int i = 0; i < kMonitors; ++i) {
    answered.insert(told().text);
  }
  EXPECT_EQ(answered, expected);
}

TEST_F(MonitorCommandsTest, AFloodOfEventsOfOneGuestDelaysNoOther) {
  ServedClient client = connect();
  static_cast<void>(listen());  // so that no rest ends the connection, however slow this machine
  const std::string path = folder_ / "loud";
  ScriptedServer loud_server(path);
  auto loud = shared_monitor(net::Reactor::shared().value(), path, {});
  Inbox<bool> begun;
  std::atomic<bool> is_loud{false};
  static_cast<void>(loud->listen({[&](const Event&) {
                                    if (!is_loud.exchange(true)) {
                                      begun.put(true);
                                    }
                                  },
                                  [](Link) {}}));
  auto loud_client = loud_server.accept();
  ASSERT_TRUE(loud_client);
  loud_client->greet();
  std::atomic<bool> enough{false};
  std::thread flood([&] {
    while (!enough) {
      loud_client->tell("BLOCK_IO_ERROR");
    }
  });
  EXPECT_TRUE(begun.take());
  for (int i = 0; i < 50 && !HasFailure(); ++i) {
    execute("query-block");
    client.answer(client.expect("query-block"), R"("here")");
    EXPECT_EQ(told().text, "here");
  }
  enough = true;
  flood.join();
  loud.reset();
  EXPECT_TRUE(loud_client->is_left());
}

TEST_F(MonitorCommandsTest, ManyThreadsMayAskAtOnce) {
  ServedClient client = connect();
  constexpr int kThreads = 6;
  constexpr int kEach = 50;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] {
      for (int each = 0; each < kEach; ++each) {
        execute("query-block");
        monitor_->ignore(listen());
      }
    });
  }
  for (int i = 0; i < kThreads * kEach; ++i) {
    client.answer(client.expect("query-block"), R"("here")");
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (int i = 0; i < kThreads * kEach; ++i) {
    EXPECT_TRUE(told().ok);
  }
}

}  // namespace
}  // namespace blockpull::qmp
