// SPDX-License-Identifier: Apache-2.0
//
// Objects come out whole wherever the reads end, and what is no QMP closes the splitter for good.

#include "core/qmp/splitter.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace blockpull::qmp {
namespace {

struct Taken {
  std::vector<std::string> objects;
  Result<void> result;
};

/// Feeds `bytes` in pieces of `piece` bytes; stops at the first error.
Taken take(std::string_view bytes, std::size_t piece) {
  Splitter splitter;
  Taken taken;
  for (std::size_t at = 0; at < bytes.size() && taken.result.ok(); at += piece) {
    taken.result = splitter.feed(bytes.substr(at, piece), [&](std::string_view object) {
      taken.objects.emplace_back(object);
      return true;
    });
  }
  return taken;
}

/// An object of exactly `bytes` bytes.
std::string object_of(std::size_t bytes) {
  return "{\"a\":\"" + std::string(bytes - 8, 'x') + "\"}";
}

std::string nested(std::size_t depth) {
  return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
}

void expect_lost(std::string_view bytes, std::string_view words) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, bytes.size()}) {
    const Taken taken = take(bytes, piece);
    ASSERT_FALSE(taken.result.ok()) << "pieces of " << piece;
    EXPECT_EQ(taken.result.error().kind, ErrorKind::kMonitorLost);
    EXPECT_EQ(taken.result.error().message, words);
  }
}

TEST(Splitter, RefusesGarbageBetweenObjects) {
  expect_lost("x", "byte 0x78 does not start a message");
  expect_lost("{}\r\n]", "byte 0x5d does not start a message");
  expect_lost("{}[]", "byte 0x5b does not start a message");
  expect_lost("{},{}", "byte 0x2c does not start a message");
  expect_lost(std::string_view("\0{}", 3), "byte 0x0 does not start a message");
  expect_lost("\xEF\xBB\xBF{}", "byte 0xef does not start a message");
}

TEST(Splitter, HandsOutWhatCameBeforeTheGarbage) {
  EXPECT_EQ(take("{} {\"a\":1} oops {}", 1).objects, (std::vector<std::string>{"{}", "{\"a\":1}"}));
  EXPECT_EQ(take("{} {\"a\":1} oops {}", 99).objects,
            (std::vector<std::string>{"{}", "{\"a\":1}"}));
}

TEST(Splitter, FailsForGoodAfterAnError) {
  Splitter splitter;
  const auto never = [](std::string_view) {
    ADD_FAILURE();
    return true;
  };
  EXPECT_FALSE(splitter.feed("x", never).ok());
  EXPECT_FALSE(splitter.feed("{}", never).ok());
}

TEST(Splitter, AcceptsTheLargestSizeAndNothingLarger) {
  const std::string largest = object_of(kObjectBytes);
  for (const std::size_t piece : {std::size_t{65536}, largest.size()}) {
    const Taken taken = take(largest + "{}", piece);
    EXPECT_TRUE(taken.result.ok());
    ASSERT_EQ(taken.objects.size(), 2U);
    EXPECT_TRUE(taken.objects[0] == largest);
    const Taken beyond = take(object_of(kObjectBytes + 1), piece);
    EXPECT_FALSE(beyond.result.ok());
    EXPECT_TRUE(beyond.objects.empty());
  }
}

TEST(Splitter, RefusesAnEndlessObjectBeforeItHasEnded) {
  const Taken taken = take("{\"a\":\"" + std::string(kObjectBytes, 'x'), 65536);
  ASSERT_FALSE(taken.result.ok());
  EXPECT_EQ(taken.result.error().message, "message has more than 16777216 bytes");
}

TEST(Splitter, AcceptsTheDeepestNestingAndNothingDeeper) {
  EXPECT_EQ(take(nested(kObjectDepth), 7).objects, std::vector<std::string>{nested(kObjectDepth)});
  expect_lost(nested(kObjectDepth + 1), "message nests deeper than 1024 levels");
}

TEST(Splitter, AcceptsTheMostValuesAndNoMore) {
  const std::string most = "{\"a\":[" + std::string(kObjectValues - 2, ',') + "]}";
  EXPECT_TRUE(take(most + most, 65536).result.ok());
  const Taken beyond = take("{,\"a\":[" + most.substr(6), 65536);
  ASSERT_FALSE(beyond.result.ok());
  EXPECT_EQ(beyond.result.error().message, "message has more than 262144 values");
}

TEST(Splitter, GivesTheSameObjectsWhereverTheReadsEnd) {
  const std::vector<std::string> objects = {
      "{}",
      R"({"return": {}, "id": 1})",
      R"({"a":"}]{[","b":"\"}","c":"\\","d":"\\\"{"})",
      R"({"\"":"\u005c\u0022","\\\\":[[],{"x":"\uD83D\uDE00"}]})",
      "{\r\n    \"return\": [\r\n        {\r\n        }\r\n    ]\r\n}",
      std::string("{\"nul\":\"\0}\"}", 12),
      "{\"\xC3\xA4\":\"\xF0\x9F\x98\x80\"}",
  };
  std::string sent = " \t";
  for (const std::string& object : objects) {
    sent += object + "\r\n";
  }
  for (std::size_t piece = 1; piece <= sent.size(); ++piece) {
    const Taken taken = take(sent, piece);
    EXPECT_TRUE(taken.result.ok());
    EXPECT_EQ(taken.objects, objects) << "pieces of " << piece;
  }
}

TEST(Splitter, LeavesToTheParserWhatIsInsideTheBrackets) {
  EXPECT_EQ(take("{]{[}]{a b c}", 1).objects, (std::vector<std::string>{"{]", "{[}]", "{a b c}"}));
}

TEST(Splitter, KnowsWhetherAnObjectHasBegun) {
  Splitter splitter;
  const auto take_all = [](std::string_view) { return true; };
  EXPECT_FALSE(splitter.is_inside());
  EXPECT_TRUE(splitter.feed("\n{\"a\":[]", take_all).ok());
  EXPECT_TRUE(splitter.is_inside());
  EXPECT_TRUE(splitter.feed("}\r\n", take_all).ok());
  EXPECT_FALSE(splitter.is_inside());
}

TEST(Splitter, HandsOutAnObjectOfOneReadWhereItLies) {
  const std::string sent = "  {\"a\":1}{}";
  Splitter splitter;
  std::vector<const char*> places;
  EXPECT_TRUE(splitter
                  .feed(sent,
                        [&](std::string_view object) {
                          places.push_back(object.data());
                          return true;
                        })
                  .ok());
  EXPECT_EQ(places, (std::vector<const char*>{sent.data() + 2, sent.data() + 9}));
}

TEST(Splitter, StopsWhenItsReceiverStops) {
  Splitter splitter;
  int heard = 0;
  const auto enough = [&](std::string_view) {
    ++heard;
    return false;
  };
  EXPECT_TRUE(splitter.feed("{}{}{}", enough).ok());
  EXPECT_FALSE(splitter.feed("{}", enough).ok());
  EXPECT_EQ(heard, 1);
}

TEST(Splitter, MayBeDestroyedByItsReceiver) {
  auto splitter = std::make_unique<Splitter>();
  const auto destroy = [&](std::string_view object) {
    splitter.reset();
    EXPECT_EQ(object, "{\"a\":1}");
    return false;
  };
  EXPECT_TRUE(splitter->feed("{\"a\"", destroy).ok());
  EXPECT_TRUE(splitter->feed(":1}{}", destroy).ok());
  EXPECT_EQ(splitter, nullptr);
}

TEST(Splitter, RefusesReentrantBytesAndContinues) {
  Splitter splitter;
  std::vector<std::string> objects;
  const Splitter::Receiver receive = [&](std::string_view object) {
    objects.emplace_back(object);
    EXPECT_FALSE(splitter.feed("{\"again\":1}", receive).ok());
    return true;
  };
  EXPECT_TRUE(splitter.feed("{\"a\":1}{\"b\"", receive).ok());
  EXPECT_TRUE(splitter.feed(":2}{\"c\":3}", receive).ok());
  EXPECT_EQ(objects, (std::vector<std::string>{"{\"a\":1}", "{\"b\":2}", "{\"c\":3}"}));
}

TEST(Splitter, TakesNothingFromAnEmptyRead) {
  EXPECT_TRUE(Splitter()
                  .feed({},
                        [](std::string_view) {
                          ADD_FAILURE();
                          return true;
                        })
                  .ok());
}

}  // namespace
}  // namespace blockpull::qmp
