// SPDX-License-Identifier: Apache-2.0
//
// The images of running guests, read from recorded answers of QEMU.

#include "driver/qemu/block_graph.h"

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "driver/qemu/recorded_answers.h"

namespace blockpull::driver::qemu {
namespace {

/// The graph; a failure to read it fails the test.
BlockGraph known(Result<BlockGraph> graph) {
  EXPECT_TRUE(graph.ok()) << graph.error().message;
  return graph.ok() ? std::move(graph).value() : BlockGraph();
}

BlockGraph guest(const std::string& name) {
  const qmp::Json answers = recorded(name);
  return known(BlockGraph::of_devices(answers.member("devices"), answers.member("stats"),
                                      answers.member("graph")));
}

BlockGraph daemon(const std::string& name) {
  const qmp::Json answers = recorded(name);
  return known(BlockGraph::of_nodes(answers.member("nodes"), answers.member("graph")));
}

std::vector<std::string> names(const BlockGraph& graph, std::optional<std::size_t> top) {
  std::vector<std::string> found;
  if (top) {
    for (const std::size_t node : graph.chain_from(*top)) {
      found.push_back(graph.nodes()[node].name);
    }
  }
  return found;
}

using Names = std::vector<std::string>;

TEST(BlockGraphTest, AMalformedAnswerHasNoImages) {
  for (const char* const answer : {"[]", "{}", R"([{}, null, {"inserted": {}}])"}) {
    const auto json = qmp::Json::parse(answer);
    ASSERT_TRUE(json.ok());
    EXPECT_TRUE(known(BlockGraph::of_devices(*json, *json, *json)).nodes().empty()) << answer;
    EXPECT_FALSE(known(BlockGraph::of_nodes(*json, *json)).find_node("")) << answer;
  }
}

TEST(BlockGraphTest, ADrivesChainIsNamedDownToItsLastImage) {
  const BlockGraph graph = guest("drive-guest");
  const auto top = graph.find_file("/vms/top.qcow2");
  EXPECT_EQ(names(graph, top), (Names{"#block124", "#block386", "#block539"}));
  const auto chain = graph.chain_from(*top);
  EXPECT_EQ(graph.nodes()[chain[0]].stated_backing, "sub/mid.qcow2");
  EXPECT_EQ(graph.nodes()[chain[0]].virtual_size, 2097152U);
  EXPECT_EQ(graph.nodes()[chain[1]].filename, "/vms/sub/mid.qcow2");
  EXPECT_EQ(graph.nodes()[chain[2]].filename, "/vms/sub/../base.img");
  EXPECT_EQ(graph.nodes()[chain[2]].driver, "raw");
}

TEST(BlockGraphTest, ADiskIsFoundByDeviceIdOrNodeNotByALowerFile) {
  const BlockGraph graph = guest("drive-guest");
  const auto top = graph.find_file("/vms/top.qcow2");
  EXPECT_EQ(graph.find_device("vda"), top);
  EXPECT_EQ(graph.find_device("vb0"), top);
  EXPECT_EQ(graph.find_device("#block124"), top);
  EXPECT_EQ(graph.disk_name(*top), "vda");
  EXPECT_FALSE(graph.find_file("/vms/sub/mid.qcow2"));
  EXPECT_FALSE(graph.find_file(""));
  EXPECT_FALSE(graph.find_device(""));
  EXPECT_FALSE(graph.find_device("vdb"));
  EXPECT_TRUE(graph.find_file("other.qcow2"));
}

TEST(BlockGraphTest, AJobsFilterDoesNotChangeTheChain) {
  const BlockGraph before = guest("drive-guest");
  const BlockGraph during = guest("drive-guest-with-job");
  for (const char* const disk : {"/vms/top.qcow2", "other.qcow2"}) {
    EXPECT_EQ(names(during, during.find_file(disk)), names(before, before.find_file(disk)));
  }
}

TEST(BlockGraphTest, AJobIsOnItsImagesAndItsFilterIsOnTop) {
  for (const BlockGraph& graph :
       {guest("drive-guest-with-job"), daemon("storage-daemon-with-job")}) {
    const auto chain = graph.chain_from(graph.find_file("/vms/top.qcow2").value_or(0));
    ASSERT_EQ(chain.size(), 3U);
    for (const std::size_t node : chain) {
      EXPECT_TRUE(graph.is_job_on("blockpull-x", node));
      EXPECT_EQ(graph.is_job_over("blockpull-x", node), node == chain.front());
      EXPECT_FALSE(graph.is_job_over("another", node));
    }
  }
}

TEST(BlockGraphTest, AJobOnAnImageIsNotOnItsBackingFile) {
  // A mirror from "top", below its filter, to "copy", which no device shows.
  const auto graph = qmp::Json::parse(R"({"nodes": [
    {"id": 1, "type": "block-job", "name": "mirror"},
    {"id": 2, "type": "block-driver", "name": "filter"},
    {"id": 3, "type": "block-driver", "name": "top"},
    {"id": 4, "type": "block-driver", "name": "base"},
    {"id": 5, "type": "block-driver", "name": "copy"},
    {"id": 6, "type": "block-driver", "name": "file"}],
    "edges": [{"name": "main node", "parent": 1, "child": 2},
              {"name": "target", "parent": 1, "child": 5},
              {"name": "backing", "parent": 2, "child": 3},
              {"name": "file", "parent": 3, "child": 6},
              {"name": "backing", "parent": 3, "child": 4},
              {"name": "file", "parent": 5, "child": 6},
              {"name": "backing", "parent": 5, "child": 4}]})");
  const auto devices = qmp::Json::parse(R"([{"device": "vda", "inserted": {"node-name": "filter",
    "image": {"filename": "/t", "format": "mirror_top", "backing-image":
      {"filename": "/t", "format": "qcow2", "backing-image": {"filename": "/b", "format": "raw"}}}
    }}])");
  const auto stats = qmp::Json::parse(R"([{"device": "vda", "node-name": "filter", "backing":
    {"node-name": "top", "backing": {"node-name": "base"}}}])");
  ASSERT_TRUE(graph.ok() && devices.ok() && stats.ok());
  const BlockGraph mirrored = known(BlockGraph::of_devices(*devices, *stats, *graph));
  const auto top = mirrored.find_node("top");
  const auto base = mirrored.find_node("base");
  ASSERT_TRUE(top && base);
  EXPECT_TRUE(mirrored.is_job_on("mirror", *top));
  EXPECT_TRUE(mirrored.is_job_over("mirror", *top));
  EXPECT_FALSE(mirrored.is_job_on("mirror", *base));
  EXPECT_FALSE(mirrored.is_job_over("mirror", *base));
}

TEST(BlockGraphTest, WithoutTheGraphImagesHaveNamesButJobsAreUnknown) {
  const qmp::Json answers = recorded("drive-guest-with-job");
  const BlockGraph graph = known(
      BlockGraph::of_devices(answers.member("devices"), answers.member("stats"), qmp::Json()));
  const auto top = graph.find_device("vda");
  ASSERT_TRUE(top);
  EXPECT_EQ(names(graph, top),
            names(guest("drive-guest"), guest("drive-guest").find_device("vda")));
  EXPECT_EQ(graph.disk_name(*top), "vda");
  EXPECT_TRUE(graph.node_names().empty());
  EXPECT_FALSE(graph.is_job_on("blockpull-x", *top));
  EXPECT_EQ(graph.nodes()[graph.chain_from(*top)[2]].filename, "/vms/sub/../base.img");
}

TEST(BlockGraphTest, ASharedBaseIsOneNodeBelowBoth) {
  const BlockGraph graph = guest("blockdev-guest");
  const auto top = graph.find_file("/vms/other.qcow2");
  EXPECT_EQ(names(graph, top), (Names{"top", "base"}));
  EXPECT_EQ(names(graph, graph.find_file("/vms/top.qcow2")), (Names{"top2", "base"}));
  EXPECT_EQ(graph.nodes().size(), 3U);
  EXPECT_FALSE(graph.find_file("/vms/base.img"));
}

TEST(BlockGraphTest, APermanentFilterHidesNoDisk) {
  const BlockGraph graph = guest("blockdev-guest");
  const auto top = graph.find_file("/vms/top.qcow2");
  EXPECT_EQ(graph.find_device("vb1"), top);
  EXPECT_EQ(graph.disk_name(*top), "vb1");
  EXPECT_EQ(graph.find_device("vb0"), graph.find_node("top"));
}

TEST(BlockGraphTest, ReadsTheConflictsOfAPull) {
  const BlockGraph graph = guest("unsafe-images");
  const BlockNode& extended = graph.nodes()[*graph.find_device("ext")];
  EXPECT_TRUE(extended.has_extended_l2);
  EXPECT_FALSE(extended.has_internal_snapshots);
  const BlockNode& snapshots = graph.nodes()[*graph.find_device("snap")];
  EXPECT_FALSE(snapshots.has_extended_l2);
  EXPECT_TRUE(snapshots.has_internal_snapshots);
}

TEST(BlockGraphTest, AStorageDaemonsNodesAreLinkedByTheGraph) {
  for (const char* const name : {"storage-daemon", "storage-daemon-with-job"}) {
    const BlockGraph graph = daemon(name);
    const auto top = graph.find_file("/vms/top.qcow2");
    ASSERT_TRUE(top) << name;
    EXPECT_EQ(graph.nodes()[*top].driver, "qcow2");
    EXPECT_EQ(names(graph, top), (Names{"top", "#block250", "#block410"})) << name;
    EXPECT_EQ(graph.find_device("top"), top);
    EXPECT_EQ(graph.disk_name(*top), "top");
    EXPECT_FALSE(graph.find_file("/vms/sub/mid.qcow2"));
  }
}

TEST(BlockGraphTest, ALoopOrAVeryDeepAnswerComesToAnEnd) {
  const auto graph = qmp::Json::parse(R"({"nodes": [
    {"id": 1, "type": "block-driver", "name": "a"}, {"id": 2, "type": "block-driver", "name": "b"}],
    "edges": [{"name": "backing", "parent": 1, "child": 2},
              {"name": "file", "parent": 2, "child": 1},
              {"name": "backing", "parent": 2, "child": 1}]})");
  const auto nodes = qmp::Json::parse(R"([{"node-name": "a", "drv": "qcow2"},
                                          {"node-name": "b", "drv": "qcow2"}])");
  ASSERT_TRUE(graph.ok() && nodes.ok());
  const BlockGraph loop = known(BlockGraph::of_nodes(*nodes, *graph));
  EXPECT_LE(loop.chain_from(0).size(), 256U);
}

/// A chain of images "n0", "n1", … of that depth.
Result<BlockGraph> chain_of(std::size_t depth) {
  std::string image;
  std::string stats;
  for (std::size_t i = depth; i-- > 0;) {
    image = text(R"({"filename": "/)", i, R"(", "format": "qcow2")",
                 image.empty() ? image : text(R"(, "backing-image": )", image), "}");
    stats = text(i == 0 ? R"({"device": "d", )" : "{", R"("node-name": "n)", i, "\"",
                 stats.empty() ? stats : text(R"(, "backing": )", stats), "}");
  }
  const auto devices = qmp::Json::parse(
      text(R"([{"device": "d", "inserted": {"node-name": "n0", "image": )", image, "}}]"));
  const auto told = qmp::Json::parse(text("[", stats, "]"));
  EXPECT_TRUE(devices.ok() && told.ok());
  return BlockGraph::of_devices(*devices, *told, qmp::Json());
}

TEST(BlockGraphTest, AChainIsReadWholeOrRefused) {
  EXPECT_EQ(known(chain_of(1)).nodes().size(), 1U);
  const BlockGraph deepest = known(chain_of(256));
  EXPECT_EQ(deepest.nodes().size(), 256U);
  EXPECT_EQ(names(deepest, 0).back(), "n255");
  const auto too_deep = chain_of(257);
  ASSERT_FALSE(too_deep.ok());
  EXPECT_EQ(too_deep.error().kind, ErrorKind::kQemuError);
  EXPECT_NE(too_deep.error().message.find("deeper than 256 levels"), std::string::npos);
}

/// Two answers from different moments.
struct Misfit {
  const char* devices;
  const char* stats;
  const char* words;
};

class TwoAnswersTest : public testing::TestWithParam<Misfit> {};

TEST_P(TwoAnswersTest, IsRefusedWithWhatDoesNotFit) {
  const auto devices = qmp::Json::parse(GetParam().devices);
  const auto stats = qmp::Json::parse(GetParam().stats);
  ASSERT_TRUE(devices.ok() && stats.ok());
  const auto graph = BlockGraph::of_devices(*devices, *stats, qmp::Json());
  ASSERT_FALSE(graph.ok());
  EXPECT_EQ(graph.error().kind, ErrorKind::kQemuError);
  EXPECT_NE(graph.error().message.find(GetParam().words), std::string::npos)
      << graph.error().message;
}

constexpr const char* kTwoDisks = R"([
  {"device": "a", "inserted": {"node-name": "n1", "image": {"filename": "/1", "format": "qcow2",
    "backing-image": {"filename": "/b", "format": "qcow2"}}}},
  {"device": "b", "inserted": {"node-name": "n2", "image": {"filename": "/2", "format": "qcow2",
    "backing-image": {"filename": "/c", "format": "qcow2"}}}}])";

INSTANTIATE_TEST_SUITE_P(
    Answers, TwoAnswersTest,
    testing::Values(
        Misfit{kTwoDisks, "[]", "2 devices and its 'query-blockstats' 0"},
        Misfit{kTwoDisks, R"([{"device": "b"}, {"device": "a"}])", "shows device 'b' in its place"},
        // One node that would be two images.
        Misfit{kTwoDisks, R"([{"device": "a", "node-name": "n1", "backing": {"node-name": "x"}},
                              {"device": "b", "node-name": "n2", "backing": {"node-name": "x"}}])",
               "shows node 'x' as '/b' and as '/c'"}));

TEST(BlockGraphTest, OneNodeHasOneBacking) {
  const auto devices = qmp::Json::parse(R"([
    {"device": "a", "inserted": {"node-name": "n", "image": {"filename": "/n", "format": "qcow2",
      "backing-image": {"filename": "/b", "format": "qcow2"}}}},
    {"device": "b", "inserted": {"node-name": "n", "image": {"filename": "/n", "format": "qcow2",
      "backing-image": {"filename": "/c", "format": "qcow2"}}}}])");
  const auto stats = qmp::Json::parse(R"([
    {"device": "a", "node-name": "n", "backing": {"node-name": "b"}},
    {"device": "b", "node-name": "n", "backing": {"node-name": "c"}}])");
  ASSERT_TRUE(devices.ok() && stats.ok());
  const auto graph = BlockGraph::of_devices(*devices, *stats, qmp::Json());
  ASSERT_FALSE(graph.ok());
  EXPECT_NE(graph.error().message.find("both '/b' and '/c' below node 'n'"), std::string::npos)
      << graph.error().message;
}

}  // namespace
}  // namespace blockpull::driver::qemu
