// SPDX-License-Identifier: Apache-2.0
//
// Which name and which image belong together, whatever filters there are; and what a name tells.

#include "driver/qemu/graph_answers.h"

#include <tuple>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "driver/qemu/block_graph.h"

namespace blockpull::driver::qemu {
namespace {

qmp::Json answer(const std::string& text) {
  auto json = qmp::Json::parse(text);
  EXPECT_TRUE(json.ok()) << text;
  return json.ok() ? std::move(json).value() : qmp::Json();
}

struct Level {
  std::string node;
  std::string format;
  std::string file;
};

/// An element of query-block.
std::string device_of(const std::vector<Level>& levels) {
  std::string image;
  for (std::size_t i = levels.size(); i-- > 0;) {
    image = text(R"({"filename": ")", levels[i].file, R"(", "format": ")", levels[i].format, "\"",
                 image.empty() ? image : text(R"(, "backing-image": )", image), "}");
  }
  return text(R"({"device": "vda", "qdev": "/q", "inserted": {"node-name": ")", levels[0].node,
              R"(", "image": )", image, "}}");
}

/// One of query-blockstats. A filter shows what is below it as its parent, too, and an image its
/// file.
std::string stats_of(const std::vector<Level>& levels) {
  std::string stats;
  for (std::size_t i = levels.size(); i-- > 0;) {
    stats = text(i == 0 ? R"({"device": "vda", "qdev": "/q", )" : "{", R"("node-name": ")",
                 levels[i].node, R"(", "parent": {"node-name": "file"})",
                 stats.empty() ? stats : text(R"(, "backing": )", stats), "}");
  }
  return stats;
}

/// A disk of three images with so many filters above it, and between each two.
std::vector<Level> disk_with(int above, int between) {
  std::vector<Level> levels;
  const auto add_filters = [&levels](const std::string& over, int count) {
    for (int i = 0; i < count; ++i) {
      levels.push_back({text("filter", i, "-", over), i == 1 ? "copy-on-read" : "throttle", over});
    }
  };
  add_filters("/top", above);
  levels.push_back({"top", "qcow2", "/top"});
  add_filters("/mid", between);
  levels.push_back({"mid", "qcow2", "/mid"});
  add_filters("/base", between);
  levels.push_back({"base", "raw", "/base"});
  return levels;
}

class FiltersTest : public testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(FiltersTest, EveryLevelHasTheNameOfItsImage) {
  const auto [above, between] = GetParam();
  const auto levels = disk_with(above, between);
  const auto read = read_levels(answer(device_of(levels)), answer(stats_of(levels)));
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->size(), levels.size());
  for (std::size_t i = 0; i < levels.size(); ++i) {
    EXPECT_EQ((*read)[i].node_name, levels[i].node);
    EXPECT_EQ((*read)[i].image.member("format").text_or_empty(), levels[i].format);
    EXPECT_EQ((*read)[i].image.member("filename").text_or_empty(), levels[i].file);
  }
}

TEST_P(FiltersTest, AreNoImagesAndLeadToTheOneBelow) {
  const auto [above, between] = GetParam();
  const auto levels = disk_with(above, between);
  const auto graph = BlockGraph::of_devices(answer(text("[", device_of(levels), "]")),
                                            answer(text("[", stats_of(levels), "]")), qmp::Json());
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  ASSERT_EQ(graph->nodes().size(), 3U);
  const auto top = graph->find_device("vda");
  ASSERT_TRUE(top);
  const auto chain = graph->chain_from(*top);
  ASSERT_EQ(chain.size(), 3U);
  EXPECT_EQ(graph->nodes()[chain[0]].name, "top");
  EXPECT_EQ(graph->nodes()[chain[1]].name, "mid");
  EXPECT_EQ(graph->nodes()[chain[2]].name, "base");
  EXPECT_EQ(graph->disk_name(*top), "vda");
  EXPECT_EQ(graph->nodes()[chain[0]].filter_above_backing, between > 0 ? "filter0-/mid" : "");
  EXPECT_EQ(graph->nodes()[chain[1]].filter_above_backing, between > 0 ? "filter0-/base" : "");
  for (const Level& level : levels) {
    const std::size_t image = level.file == "/top" ? 0 : level.file == "/mid" ? 1 : 2;
    EXPECT_EQ(graph->find_device(level.node), chain[image]) << level.node;
  }
}

INSTANTIATE_TEST_SUITE_P(Counts, FiltersTest,
                         testing::Combine(testing::Range(0, 4), testing::Range(0, 4)));

/// Two answers of different moments, and what is said of them.
struct Misfit {
  const char* device;
  const char* stats;
  const char* words;
};

class MisfitTest : public testing::TestWithParam<Misfit> {};

TEST_P(MisfitTest, OfTwoAnswersIsRefused) {
  const auto read = read_levels(answer(GetParam().device), answer(GetParam().stats));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().kind, ErrorKind::kQemuError);
  EXPECT_NE(read.error().message.find(GetParam().words), std::string::npos) << read.error().message;
}

constexpr const char* kTwoLevels = R"({"device": "d", "qdev": "/q", "inserted": {"node-name": "n",
  "image": {"filename": "/n", "backing-image": {"filename": "/b"}}}})";

INSTANTIATE_TEST_SUITE_P(
    Answers, MisfitTest,
    testing::Values(
        Misfit{kTwoLevels, R"({"device": "d", "qdev": "/q", "node-name": "n"})",
               "one ends after level 1"},
        Misfit{kTwoLevels, R"({"device": "d", "qdev": "/q", "node-name": "n", "backing":
               {"node-name": "b", "backing": {"node-name": "c"}}})",
               "one ends after level 2"},
        Misfit{kTwoLevels, R"({"device": "d", "qdev": "/q", "node-name": "n", "parent":
               {"node-name": "b"}})",
               "one ends after level 1"},
        Misfit{kTwoLevels, R"({"device": "d", "qdev": "/q", "node-name": "n", "backing": {}})",
               "level 2 has no node name"},
        Misfit{kTwoLevels, R"({"device": "d", "qdev": "/q", "backing": {"node-name": "b"}})",
               "starts at node ''"},
        Misfit{kTwoLevels, R"({"device": "d", "qdev": "/q", "node-name": "m", "backing":
               {"node-name": "b"}})",
               "starts at node 'm'"},
        Misfit{kTwoLevels, R"({"device": "e", "qdev": "/q", "node-name": "n"})",
               "shows device 'e' in its place"},
        Misfit{kTwoLevels, R"({"device": "d", "qdev": "/r", "node-name": "n"})", "in its place"}));

TEST(GraphAnswersTest, ADeviceWithoutAMediumHasNoLevels) {
  for (const char* const device :
       {R"({"device": "cd"})", R"({"device": "cd", "inserted": {"node-name": "n"}})"}) {
    const auto read = read_levels(answer(device), answer(R"({"device": "cd"})"));
    ASSERT_TRUE(read.ok());
    EXPECT_TRUE(read->empty());
  }
}

TEST(GraphAnswersTest, TheShapeOmitsOnlyFieldsThatChangeByThemselves) {
  const auto shape = [](const std::string& inserted) {
    return shape_of_devices(answer(text(R"([{"device": "d", "inserted": {)", inserted, "}}]")));
  };
  const std::string same =
      shape(R"("node-name": "n", "image": {"filename": "/a", "format": "raw"})");
  EXPECT_EQ(same, shape(R"("node-name": "n", "ro": true, "image": {"format": "raw",
    "filename": "/a", "actual-size": 5})"));
  for (const char* const other :
       {R"("node-name": "m", "image": {"filename": "/a", "format": "raw"})",
        R"("node-name": "n", "image": {"filename": "/b", "format": "raw"})",
        R"("node-name": "n", "image": {"filename": "/a", "format": "qcow2"})",
        R"("node-name": "n", "image": {"filename": "/a", "format": "raw",
           "backing-filename": "b"})",
        R"("node-name": "n", "image": {"filename": "/a", "format": "raw",
           "backing-image": {"filename": "/b", "format": "raw"}})",
        ""}) {
    EXPECT_NE(same, shape(other)) << other;
  }
  const auto nodes = [](const char* node) { return shape_of_nodes(answer(text("[", node, "]"))); };
  const std::string node =
      nodes(R"({"node-name": "n", "drv": "raw", "image": {"filename": "/a"}})");
  EXPECT_EQ(node, nodes(R"({"node-name": "n", "drv": "raw", "ro": true,
    "image": {"filename": "/a", "actual-size": 1}})"));
  EXPECT_NE(node, nodes(R"({"node-name": "m", "drv": "raw", "image": {"filename": "/a"}})"));
  EXPECT_NE(node, nodes(R"({"node-name": "n", "drv": "qcow2", "image": {"filename": "/a"}})"));
  EXPECT_NE(node, nodes(R"({"node-name": "n", "drv": "raw", "image": {"filename": "/b"}})"));
}

/// A file name as QEMU tells it.
struct FileName {
  const char* told;
  const char* path;
  bool is_part;
};

class FileNameTest : public testing::TestWithParam<FileName> {};

TEST_P(FileNameTest, IsExtractedFromQemusAnswers) {
  EXPECT_EQ(path_in(GetParam().told), GetParam().path);
  EXPECT_EQ(is_part_of_file(GetParam().told), GetParam().is_part);
}

INSTANTIATE_TEST_SUITE_P(
    Names, FileNameTest,
    testing::Values(
        FileName{"/a/b.qcow2", "/a/b.qcow2", false}, FileName{"b.qcow2", "b.qcow2", false},
        FileName{"", "", false}, FileName{"nbd://host/a", "nbd://host/a", false},
        FileName{"blkdebug::/a", "/a", false}, FileName{"blkdebug::blkdebug::/a", "/a", false},
        FileName{"blkdebug:/rules:/a", "blkdebug:/rules:/a", false},
        FileName{R"(json:{"driver": "qcow2", "file": {"filename": "/a"}})", "/a", false},
        FileName{R"(json:{"driver": "qcow2", "file.filename": "/a"})", "/a", false},
        FileName{R"(json:{"driver": "file", "filename": "/a"})", "/a", false},
        FileName{R"(json:{"driver": "throttle", "file": {"driver": "qcow2", "file":
                 {"driver": "file", "filename": "/a"}}})",
                 "/a", false},
        FileName{R"(json:{"driver": "blkdebug", "image": {"driver": "qcow2", "file":
                 {"driver": "file", "filename": "/a"}}})",
                 "/a", false},
        FileName{R"(json:{"driver": "blkdebug", "image.filename": "/a"})", "/a", false},
        FileName{R"(json:{"backing": {"driver": "raw", "file": {"filename": "/b"}},
                 "driver": "qcow2", "file": {"filename": "/a"}})",
                 "/a", false},
        FileName{R"(json:{"driver": "raw", "offset": 512, "file": {"filename": "/a"}})", "/a",
                 true},
        FileName{R"(json:{"driver": "raw", "size": 512, "file": {"filename": "/a"}})", "/a", true},
        FileName{R"(json:{"driver": "qcow2", "file": {"driver": "raw", "offset": 512, "file":
                 {"driver": "file", "filename": "/a"}}})",
                 "/a", true},
        FileName{R"(json:{"driver": "qcow2", "file": "node"})",
                 R"(json:{"driver": "qcow2", "file": "node"})", false},
        FileName{"json:{no json", "json:{no json", false}));

}  // namespace
}  // namespace blockpull::driver::qemu
