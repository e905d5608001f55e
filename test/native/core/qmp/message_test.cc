// SPDX-License-Identifier: Apache-2.0
//
// The four kinds of message, as QEMU 7.2 sends them, and what is not a message.

#include "core/qmp/message.h"

#include <string>

#include <gtest/gtest.h>

namespace blockpull::qmp {
namespace {

template <typename Kind>
Kind read(std::string_view text) {
  auto message = read_message(text);
  EXPECT_TRUE(message.ok()) << text;
  auto* const kind = message.ok() ? std::get_if<Kind>(&*message) : nullptr;
  EXPECT_NE(kind, nullptr) << text;
  return kind != nullptr ? std::move(*kind) : Kind();
}

TEST(ReadMessage, RefusesAnObjectThatIsNoMessage) {
  for (const char* text : {"{}", R"({"id":1})", R"({"QMP":1})", R"({"event":1})",
                           R"({"error":"x"})", R"([{"return":1}])", R"({"Return":1})"}) {
    const auto message = read_message(text);
    ASSERT_FALSE(message.ok()) << text;
    EXPECT_EQ(message.error().kind, ErrorKind::kMonitorLost);
  }
  EXPECT_EQ(read_message("{\"id\": 1}").error().message,
            "message '{\"id\": 1}' has none of the members 'QMP', 'return', 'error' and 'event'");
}

TEST(ReadMessage, RefusesInvalidJson) {
  EXPECT_EQ(read_message("{]").error().kind, ErrorKind::kMonitorLost);
}

TEST(ReadMessage, ReadsAGreeting) {
  const auto greeting =
      read<Greeting>(R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, )"
                     R"("package": "Debian 1:7.2"}, "capabilities": ["oob"]}})");
  EXPECT_EQ(greeting.version, (QemuVersion{7, 2, 22}));
  EXPECT_LT(greeting.version, (QemuVersion{8, 0, 0}));
}

TEST(ReadMessage, ReadsAGreetingWithoutAVersionAsTheOldest) {
  EXPECT_EQ(read<Greeting>(R"({"QMP": {}})").version, QemuVersion());
}

TEST(ReadMessage, ReadsAnAnswer) {
  const auto reply = read<Reply>(R"({"return": [{"status": "running"}], "id": 7})");
  EXPECT_EQ(reply.id, 7U);
  EXPECT_FALSE(reply.error);
  EXPECT_EQ(reply.value.at(0).member("status").text(), "running");
}

TEST(ReadMessage, ReadsAnAnswerOfNothing) {
  const auto reply = read<Reply>(R"({"return": null, "id": 18446744073709551615})");
  EXPECT_EQ(reply.id, 18446744073709551615U);
  EXPECT_FALSE(reply.error);
  EXPECT_FALSE(reply.value.exists());
}

TEST(ReadMessage, ReadsARefusalWhoseIdComesFirst) {
  const auto reply = read<Reply>(
      R"({"id": 8, "error": {"class": "CommandNotFound", "desc": "The command \"x\" …"}})");
  EXPECT_EQ(reply.id, 8U);
  ASSERT_TRUE(reply.error);
  EXPECT_EQ(reply.error->error_class, "CommandNotFound");
  EXPECT_EQ(reply.error->description, "The command \"x\" …");
}

TEST(ReadMessage, TakesAnAnswerWithBothForARefusal) {
  EXPECT_TRUE(read<Reply>(R"({"return": {}, "error": {"class": "GenericError"}, "id": 1})").error);
}

TEST(ReadMessage, AnIdThatIsNotOursIsIgnored) {
  for (const char* id : {"\"7\"", "null", "-1", "1.0", "{}", "18446744073709551616"}) {
    EXPECT_EQ(read<Reply>(std::string(R"({"return": {}, "id": )") + id + "}").id, std::nullopt)
        << id;
  }
  EXPECT_EQ(read<Reply>(R"({"error": {"class": "GenericError", "desc": "JSON parse error"}})").id,
            std::nullopt);
}

TEST(ReadMessage, ReadsAnEvent) {
  const auto event =
      read<Event>(R"({"timestamp": {"seconds": 1795594590, "microseconds": 463071}, )"
                  R"("event": "JOB_STATUS_CHANGE", "data": {"status": "created", "id": "j"}})");
  EXPECT_EQ(event.name, "JOB_STATUS_CHANGE");
  EXPECT_EQ(event.data.member("id").text(), "j");
}

TEST(ReadMessage, ReadsAnEventWithoutData) {
  EXPECT_FALSE(read<Event>(R"({"event": "STOP", "unknown": [1]})").data.exists());
}

}  // namespace
}  // namespace blockpull::qmp
