// SPDX-License-Identifier: Apache-2.0
//
// Values that were parsed, exactly; and what we send, as QEMU takes it.

#include "core/qmp/json.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "core/qmp/splitter.h"

namespace blockpull::qmp {
namespace {

Json parsed(std::string_view text) {
  auto result = Json::parse(text);
  EXPECT_TRUE(result.ok()) << text;
  return result.ok() ? *std::move(result) : Json();
}

/// The value whose JSON is `text`.
Json value(const std::string& text) {
  return parsed("{\"v\":" + text + "}").member("v");
}

void expect_none(std::string_view text) {
  const auto result = Json::parse(text);
  ASSERT_FALSE(result.ok()) << text;
  EXPECT_EQ(result.error().kind, ErrorKind::kMonitorLost);
}

TEST(Json, RefusesInvalidJson) {
  for (const char* text : {"", "{", "{]", "[}", "{}}", "{}{}", "{\"a\":}", "{\"a\" 1}", "{a:1}",
                           "{\"a\":1,}", "{\"a\":01}", "{\"a\":0x1}", "{\"a\":\"b}", "{\"a\":tru}",
                           "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":1 /**/}"}) {
    expect_none(text);
  }
}

TEST(Json, RefusesNulBytes) {
  expect_none(std::string_view("{\"a\":\"\0\"}", 9));
  expect_none(std::string_view("{}\0", 3));
  expect_none(std::string_view("{\0}", 3));
}

TEST(Json, RefusesAnythingButAnObjectOrArray) {
  for (const char* text : {"1", "\"a\"", "null", "true", "1.5"}) {
    expect_none(text);
  }
}

TEST(Json, RefusesInvalidUtf8) {
  expect_none("{\"a\":\"\xFF\"}");
  expect_none("{\"a\":\"\xC0\x80\"}");
  expect_none("{\"a\":\"\xED\xA0\x80\"}");
  expect_none("{\"a\":\"\xC3\"}");
}

TEST(Json, SaysWhatItCouldNotParse) {
  EXPECT_EQ(Json::parse("{\"a\r\n\x01\":").error().message,
            "message '{\"a...\":' is not JSON: it is incomplete");
  EXPECT_EQ(Json::parse("{\"a\xFF\"}").error().message,
            "message '{\"a.\"}' is not JSON: invalid UTF-8 at byte 3");
}

TEST(Json, KeepsIntegersExactOverAllOf64Bits) {
  EXPECT_EQ(value("9007199254740993").number(), 9007199254740993U);
  EXPECT_EQ(value("9223372036854775807").signed_number(), 9223372036854775807);
  EXPECT_EQ(value("9223372036854775808").number(), 9223372036854775808U);
  EXPECT_EQ(value("18446744073709551615").number(), 18446744073709551615U);
  EXPECT_EQ(value("-9223372036854775808").signed_number(),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value("0").number(), 0U);
  EXPECT_EQ(value("-1").signed_number(), -1);
}

TEST(Json, NumbersOutsideTheirRangeAreAbsent) {
  EXPECT_EQ(value("-1").number(), std::nullopt);
  EXPECT_EQ(value("9223372036854775808").signed_number(), std::nullopt);
  EXPECT_EQ(value("18446744073709551615").signed_number(), std::nullopt);
}

TEST(Json, AnIntegerBeyond64BitsIsNotAnInteger) {
  for (const char* text : {"18446744073709551616", "-9223372036854775809",
                           "123456789012345678901234567890", "99999999999999999999"}) {
    EXPECT_TRUE(value(text).exists()) << text;
    EXPECT_EQ(value(text).number(), std::nullopt) << text;
    EXPECT_EQ(value(text).signed_number(), std::nullopt) << text;
  }
  const Json both = parsed(R"({"s":"99999999999999999999","n":99999999999999999999,"i":7})");
  EXPECT_EQ(both.member("s").text(), "99999999999999999999");
  EXPECT_EQ(both.member("n").number(), std::nullopt);
  EXPECT_EQ(both.member("i").number(), 7U);
}

TEST(Json, FindsAnIntegerBeyond64BitsWhereverItStands) {
  for (std::size_t shift = 0; shift < 40; ++shift) {
    const std::string name(shift, 'n');
    const Json json = parsed("{\"" + name + "\":[18446744073709551616,\"\\\"1\",1]}");
    EXPECT_EQ(json.member(name.c_str()).at(0).number(), std::nullopt) << shift;
    EXPECT_EQ(json.member(name.c_str()).at(1).text(), "\"1") << shift;
    EXPECT_EQ(json.member(name.c_str()).at(2).number(), 1U) << shift;
  }
}

TEST(Json, FractionsExponentsAndTextAreNotIntegers) {
  for (const char* text : {"1.0", "1.5", "1e3", "1.8446744073709552e+19", "\"1\"", "true", "null",
                           "[1]", "{}", "12345678901234567890.5"}) {
    EXPECT_EQ(value(text).number(), std::nullopt) << text;
    EXPECT_EQ(value(text).signed_number(), std::nullopt) << text;
  }
}

TEST(Json, DecodesEscapes) {
  EXPECT_EQ(value(R"("\"\\\/\b\f\n\r\t")").text(), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(value(R"("\u00E4\u20ac")").text(), "\xC3\xA4\xE2\x82\xAC");
  EXPECT_EQ(value(R"("\uD83D\uDE00")").text(), "\xF0\x9F\x98\x80");
  EXPECT_EQ(value(R"("a\u0000b")").text(), std::string("a\0b", 3));
  EXPECT_EQ(value("\"\xF0\x9F\x98\x80\"").text(), "\xF0\x9F\x98\x80");
}

TEST(Json, PutsTheReplacementCharacterForHalfASurrogatePair) {
  EXPECT_EQ(value(R"("\uD83Dx")").text(), "\xEF\xBF\xBDx");
  EXPECT_EQ(value(R"("\uDE00")").text(), "\xEF\xBF\xBD");
  EXPECT_EQ(value(R"("\uD83D\u0041")").text(),
            "\xEF\xBF\xBD"
            "A");
}

TEST(Json, TakesTheLastOfTwoMembersOfOneName) {
  EXPECT_EQ(parsed(R"({"id":1,"id":2})").member("id").number(), 2U);
}

TEST(Json, HasAbsentMembersOfAbsentMembers) {
  const Json json = parsed(R"({"a":{"b":[1,{"c":"d"}]},"n":null})");
  EXPECT_EQ(json.member("a").member("b").at(1).member("c").text(), "d");
  EXPECT_FALSE(json.member("x").member("b").at(1).member("c").exists());
  EXPECT_FALSE(json.member("a").member("b").at(2).exists());
  EXPECT_FALSE(json.member("a").member("b").member("c").exists());
  EXPECT_FALSE(json.at(0).exists());
  EXPECT_EQ(json.size(), 0U);
  EXPECT_EQ(json.member("a").member("b").size(), 2U);
  EXPECT_EQ(Json().text_or_empty(), "");
  EXPECT_FALSE(Json().is_true());
}

TEST(Json, DistinguishesANullMemberFromNone) {
  const Json json = parsed(R"({"n":null})");
  EXPECT_TRUE(json.has("n"));
  EXPECT_FALSE(json.member("n").exists());
  EXPECT_FALSE(json.has("x"));
  EXPECT_FALSE(Json().has("n"));
}

TEST(Json, KnowsBooleansAndNothingElseAsBooleans) {
  EXPECT_TRUE(value("true").is_true());
  EXPECT_EQ(value("false").boolean(), false);
  EXPECT_EQ(value("1").boolean(), std::nullopt);
  EXPECT_EQ(value("\"true\"").boolean(), std::nullopt);
}

TEST(Json, OutlivesTheTreeThatItCameFrom) {
  Json inner;
  {
    const Json outer = parsed(R"({"a":{"b":"kept"}})");
    inner = outer.member("a");
    Json copy = inner;
    inner = std::move(copy);
  }
  EXPECT_EQ(inner.member("b").text(), "kept");
}

TEST(Json, ParsesTheDeepestObjectThatTheSplitterLetsThrough) {
  for (const std::size_t depth :
       {std::size_t{31}, std::size_t{32}, std::size_t{33}, kObjectDepth}) {
    Json json =
        parsed("{\"v\":" + std::string(depth - 1, '[') + "7" + std::string(depth - 1, ']') + "}")
            .member("v");
    for (std::size_t level = 1; level < depth; ++level) {
      json = json.at(0);
    }
    EXPECT_EQ(json.number(), 7U) << depth;
  }
  expect_none("{\"v\":" + std::string(kObjectDepth, '[') + "7" + std::string(kObjectDepth, ']') +
              "}");
}

TEST(JsonWriter, WritesMembersInTheOrderGiven) {
  const std::string inner = JsonWriter().member("flat", true).text();
  EXPECT_EQ(JsonWriter()
                .member("execute", "x")
                .object("arguments", inner)
                .number("id", std::numeric_limits<std::uint64_t>::max())
                .member("off", false)
                .text(),
            R"({"execute":"x","arguments":{"flat":true},"id":18446744073709551615,"off":false})");
  EXPECT_EQ(JsonWriter().text(), "{}");
}

TEST(JsonWriter, EscapesQuotesBackslashesAndControlCharacters) {
  EXPECT_EQ(JsonWriter().member("a\"", "\"\\\n\x01\x1F\x7F/").text(),
            "{\"a\\\"\":\"\\\"\\\\\\u000a\\u0001\\u001f\x7F/\"}");
}

TEST(JsonWriter, WritesWhatIsReadBackAlike) {
  std::string all;
  for (int byte = 1; byte < 0x80; ++byte) {
    all += static_cast<char>(byte);
  }
  all += "\xC3\xA4\xF0\x9F\x98\x80";
  EXPECT_EQ(parsed(JsonWriter().member("all", all).text()).member("all").text(), all);
}

TEST(CheckSendable, RefusesARequestThatQemuWouldNotRead) {
  const auto checked = check_sendable(JsonWriter().member("path", "/v/a\xFF.qcow2").text());
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(
      checked.error().message,
      "byte 0xff at 13 of request '{\"path\":\"/v/a..qcow2\"}' is not UTF-8 that QEMU accepts; "
      "rename the file or disk that it names");
  EXPECT_TRUE(check_sendable(JsonWriter().member("path", "/v/\xC3\xA4").text()).ok());
}

TEST(Excerpt, IsOneLineOfPrintableAsciiAndShort) {
  EXPECT_EQ(excerpt("{\r\n\t\"\xC3\xA4\"}"), "{...\"..\"}");
  EXPECT_EQ(excerpt(std::string(60, 'x')), std::string(60, 'x'));
  EXPECT_EQ(excerpt(std::string(61, 'x')), std::string(60, 'x') + "…");
}

}  // namespace
}  // namespace blockpull::qmp
