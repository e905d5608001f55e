// SPDX-License-Identifier: Apache-2.0
//
// The images of running guests, read from what QEMU itself has answered.

#include "driver/qemu/block_graph.h"

#include <gtest/gtest.h>

#include "driver/qemu/recorded_answers.h"

namespace blockpull::driver {
namespace {

BlockGraph guest(const std::string& name) {
  const qmp::Json answers = recorded(name);
  return BlockGraph::of_devices(answers.member("devices"), answers.member("graph"));
}

BlockGraph daemon(const std::string& name) {
  const qmp::Json answers = recorded(name);
  return BlockGraph::of_nodes(answers.member("nodes"), answers.member("graph"));
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

TEST(BlockGraphTest, WhatIsNoAnswerIsNoImage) {
  for (const char* const answer : {"[]", "{}", R"([{}, null, {"inserted": {}}])"}) {
    const auto json = qmp::Json::parse(answer);
    ASSERT_TRUE(json.ok());
    EXPECT_TRUE(BlockGraph::of_devices(*json, *json).nodes().empty()) << answer;
    EXPECT_FALSE(BlockGraph::of_nodes(*json, *json).find_node("")) << answer;
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

TEST(BlockGraphTest, ADiskIsFoundByDeviceAndIdAndNodeAndNotByALowerFile) {
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

TEST(BlockGraphTest, AJobsFilterChangesNothingOfIt) {
  const BlockGraph before = guest("drive-guest");
  const BlockGraph during = guest("drive-guest-with-job");
  for (const char* const disk : {"/vms/top.qcow2", "other.qcow2"}) {
    EXPECT_EQ(names(during, during.find_file(disk)), names(before, before.find_file(disk)));
  }
}

TEST(BlockGraphTest, AJobIsOnItsImagesAndItsFilterOverTheUppermost) {
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

TEST(BlockGraphTest, AJobThatWritesToAnImageIsNotOnTheBackingOfThat) {
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
  ASSERT_TRUE(graph.ok() && devices.ok());
  const BlockGraph mirrored = BlockGraph::of_devices(*devices, *graph);
  const auto top = mirrored.find_node("top");
  const auto base = mirrored.find_node("base");
  ASSERT_TRUE(top && base);
  EXPECT_TRUE(mirrored.is_job_on("mirror", *top));
  EXPECT_TRUE(mirrored.is_job_over("mirror", *top));
  EXPECT_FALSE(mirrored.is_job_on("mirror", *base));
  EXPECT_FALSE(mirrored.is_job_over("mirror", *base));
}

TEST(BlockGraphTest, WithoutTheGraphOnlyTopmostImagesHaveNames) {
  const BlockGraph graph =
      BlockGraph::of_devices(recorded("drive-guest").member("devices"), qmp::Json());
  const auto top = graph.find_device("vda");
  EXPECT_EQ(names(graph, top), (Names{"#block124", "", ""}));
  EXPECT_EQ(graph.disk_name(*top), "vda");
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

TEST(BlockGraphTest, AFilterThatIsThereToStayHidesNoDisk) {
  const BlockGraph graph = guest("blockdev-guest");
  const auto top = graph.find_file("/vms/top.qcow2");
  EXPECT_EQ(graph.find_device("vb1"), top);
  EXPECT_EQ(graph.disk_name(*top), "vb1");
  EXPECT_EQ(graph.find_device("vb0"), graph.find_node("top"));
}

TEST(BlockGraphTest, ReadsWhatKeepsAPullAway) {
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
  const BlockGraph loop = BlockGraph::of_nodes(*nodes, *graph);
  EXPECT_LE(loop.chain_from(0).size(), 256U);
  std::string deep = R"({"filename": "/last"})";
  for (int i = 0; i < 400; ++i) {
    deep = R"({"filename": "/x", "format": "qcow2", "backing-image": )" + deep + "}";
  }
  const auto devices =
      qmp::Json::parse(R"([{"device": "d", "inserted": {"image": )" + deep + "}}]");
  ASSERT_TRUE(devices.ok());
  EXPECT_LE(BlockGraph::of_devices(*devices, qmp::Json()).nodes().size(), 256U);
}

struct FileName {
  const char* told;
  const char* path;
};

class FileNameTest : public testing::TestWithParam<FileName> {};

TEST_P(FileNameTest, IsTakenOutOfWhatQemuTells) {
  const auto devices =
      qmp::Json::parse(std::string(R"([{"device": "d", "inserted": {"image": {"filename": )") +
                       GetParam().told + R"(, "format": "qcow2"}}}])");
  ASSERT_TRUE(devices.ok());
  EXPECT_EQ(BlockGraph::of_devices(*devices, qmp::Json()).nodes().at(0).filename, GetParam().path);
}

INSTANTIATE_TEST_SUITE_P(
    Names, FileNameTest,
    testing::Values(FileName{R"("/a/b.qcow2")", "/a/b.qcow2"}, FileName{R"("b.qcow2")", "b.qcow2"},
                    FileName{R"("json:{\"driver\": \"qcow2\", \"file\": {\"filename\": \"/a\"}}")",
                             "/a"},
                    FileName{R"("json:{\"driver\": \"qcow2\", \"file.filename\": \"/a\"}")", "/a"},
                    FileName{R"("json:{\"driver\": \"file\", \"filename\": \"/a\"}")", "/a"},
                    FileName{R"("json:{\"driver\": \"qcow2\", \"file\": \"node\"}")",
                             R"(json:{"driver": "qcow2", "file": "node"})"},
                    FileName{R"("json:{no json")", "json:{no json"}));

}  // namespace
}  // namespace blockpull::driver
