// SPDX-License-Identifier: Apache-2.0
//
// What the files of a guest show of a stream: what lacks in the active image before the end, and
// what its header states afterwards.

#include "driver/qemu/stream_witness.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "faults/image_recipe.h"
#include "files/temp_folder.h"

namespace blockpull::driver::qemu {
namespace {

constexpr std::uint64_t kCluster = 512;
constexpr std::uint64_t kClusters = 16;

using Clusters = std::vector<std::uint64_t>;

struct Layer {
  Clusters data;
  Clusters zeros = {};
  /// In clusters.
  std::uint64_t size = kClusters;
};

/// The image as a QEMU that has it open tells of it.
BlockNode node_of(const std::string& path, const std::string& driver = "qcow2") {
  BlockNode node;
  node.name = path;
  node.driver = driver;
  node.filename = path;
  const auto id = io::identify(path);
  EXPECT_TRUE(id.ok()) << path;
  node.seen = SeenFile{path, id.ok() ? *id : io::FileId(), true};
  return node;
}

void write_image(const files::TempFolder& folder, const std::string& name,
                 const faults::ImageRecipe& recipe) {
  const faults::Content content = faults::build_image(recipe);
  const auto bytes = content.read(0, content.size());
  std::string text(bytes.size(), '\0');
  std::transform(bytes.begin(), bytes.end(), text.begin(),
                 [](std::byte byte) { return static_cast<char>(byte); });
  folder.write(name, text);
}

/// "layer0" on "layer1" on …
std::vector<BlockNode> write_chain(const files::TempFolder& folder,
                                   const std::vector<Layer>& layers) {
  std::vector<BlockNode> nodes;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    faults::ImageRecipe recipe;
    recipe.virtual_size = layers[i].size * kCluster;
    recipe.data_clusters = layers[i].data;
    recipe.zero_clusters = layers[i].zeros;
    if (i + 1 < layers.size()) {
      recipe.backing_name = text("layer", i + 1);
      recipe.backing_format = "qcow2";
    }
    write_image(folder, text("layer", i), recipe);
    nodes.push_back(node_of(folder / text("layer", i)));
  }
  return nodes;
}

/// Walks to the end.
StreamWitness::Lacking lacking(const std::vector<BlockNode>& layers, std::size_t base) {
  auto witness = StreamWitness::open(layers, base);
  EXPECT_TRUE(witness.ok()) << witness.error().message;
  if (!witness.ok()) {
    return {};
  }
  auto told = (*witness)->next();
  while (told.ok() && !told->finished) {
    told = (*witness)->next();
  }
  EXPECT_TRUE(told.ok()) << told.error().message;
  return told.ok() ? *told : StreamWitness::Lacking{};
}

/// A chain, top first, and what lacks in the top for a stream after which the layers from `base` on
/// stay.
struct Stream {
  const char* name;
  std::vector<Layer> layers;
  std::size_t base;
  /// In clusters.
  std::uint64_t lacks;
  std::uint64_t first = 0;
};

class LackingTest : public testing::TestWithParam<Stream> {};

TEST_P(LackingTest, IsDataOfADroppedLayerThatTheTopLacks) {
  const files::TempFolder folder;
  const auto told = lacking(write_chain(folder, GetParam().layers), GetParam().base);
  EXPECT_TRUE(told.finished);
  EXPECT_EQ(told.bytes, GetParam().lacks * kCluster);
  if (GetParam().lacks > 0) {
    EXPECT_EQ(told.first, GetParam().first * kCluster);
  }
}

std::string name_of(const testing::TestParamInfo<Stream>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Everything, LackingTest,
    testing::Values(Stream{"AllWasCopied", {{{1, 2, 9}}, {{1, 2}}, {{2, 9}}}, 3, 0},
                    Stream{"TheGuestHasWrittenOverIt", {{{0, 1, 2, 15}}, {{1}}, {{2}}}, 3, 0},
                    Stream{"AClusterOfTheMiddleLacks", {{{1}}, {{1, 2}}, {{}}}, 3, 1, 2},
                    Stream{"AClusterOfTheLastLacks", {{{1}}, {{1}}, {{15}}}, 3, 1, 15},
                    Stream{"TheFirstClusterLacks", {{{}}, {{0}}}, 2, 1, 0},
                    Stream{"SeveralLack", {{{4}}, {{3, 4, 5}}, {{3, 9}}}, 3, 3, 3},
                    Stream{"AllLacks", {{{}}, {{0, 1, 2, 3}}}, 2, 4, 0},
                    Stream{"ZerosOfTheGuestHideIt", {{{}, {2}}, {{2}}}, 2, 0},
                    Stream{"ZerosMayGoWithTheirLayer", {{{}}, {{}, {3}}, {{3}}}, 3, 0},
                    Stream{"NothingIsAnywhere", {{{}}, {{}}}, 2, 0}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    ABaseStays, LackingTest,
    testing::Values(
        Stream{"AllWasCopied", {{{1, 2}}, {{1, 2}}, {{2, 9}}}, 2, 0},
        Stream{"WhatTheBaseHasIsNotMissed", {{{}}, {{}}, {{0, 9, 15}}}, 2, 0},
        Stream{"AClusterLacks", {{{1}}, {{1, 7}}, {{7}}}, 2, 1, 7},
        Stream{"ZerosThatHideTheBaseLack", {{{}}, {{}, {3}}, {{3}}}, 2, 1, 3},
        Stream{"ZerosThatHideTheBaseWereCopied", {{{}, {3}}, {{}, {3}}, {{3}}}, 2, 0},
        Stream{"ZerosThatHideWhatIsBelowTheBaseLack", {{{}}, {{}, {3}}, {{}}, {{3}}}, 2, 1, 3},
        Stream{"ZerosThatTheBaseHidesToo", {{{}}, {{}, {3}}, {{}, {3}}, {{3}}}, 2, 0},
        Stream{"ZerosThatHideNothing", {{{}}, {{}, {3}}, {{4}}}, 2, 0},
        Stream{"TheBaseIsNextAlready", {{{}}, {{1, 2}}}, 1, 0}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    OtherSizes, LackingTest,
    testing::Values(
        Stream{"AShorterBase", {{{1}}, {{1}}, {{2}, {}, 4}}, 2, 0},
        Stream{"AShorterBaseAndZerosPastItsEnd", {{{}}, {{}, {9}}, {{2}, {}, 4}}, 2, 0},
        Stream{"ALongerBase", {{{1}}, {{1}}, {{2, 30}, {}, 32}}, 2, 0},
        Stream{"ALongerLayerThatDropsOut", {{{1}}, {{1, 15, 16, 30}, {}, 32}}, 2, 1, 15},
        Stream{"AShorterLayerThatDropsOut", {{{1}}, {{1}, {}, 4}}, 2, 0},
        // Past the end of the middle the guest reads zeros, and would read the base.
        Stream{"AShorterLayerOverALongBase", {{{1}}, {{1}, {}, 4}, {{3, 5, 9}}}, 2, 2, 5},
        Stream{"AShorterLayerOverALongOneThatGoesToo", {{{1}}, {{1}, {}, 4}, {{5, 9}}}, 3, 0}),
    name_of);

TEST(StreamWitnessTest, ARawLayerHasEveryByteOfItsData) {
  const files::TempFolder folder;
  faults::ImageRecipe recipe;
  recipe.virtual_size = kClusters * kCluster;
  recipe.data_clusters = {0, 1, 2};
  write_image(folder, "top", recipe);
  folder.write("base", std::string(kClusters * kCluster, 'b'));
  const std::vector<BlockNode> layers{node_of(folder / "top"), node_of(folder / "base", "raw")};
  const auto told = lacking(layers, 2);
  EXPECT_EQ(told.bytes, (kClusters - 3) * kCluster);
  EXPECT_EQ(told.first, 3 * kCluster);
}

TEST(StreamWitnessTest, FilesNotSeenToBeQemusAreNotOpened) {
  const files::TempFolder folder;
  const auto seen = write_chain(folder, {{{1}}, {{1}}});
  ASSERT_TRUE(StreamWitness::open(seen, 2).ok());
  auto unseen = seen;
  unseen[1].seen.reset();
  auto of_others = seen;
  of_others[1].seen->is_qemus = false;
  auto replaced = seen;
  replaced[1].seen->id = replaced[0].seen->id;
  auto part = seen;
  part[1].is_part_of_file = true;
  auto deleted = seen;
  deleted[1].is_deleted = true;
  auto far = seen;
  far[1].filename = "nbd://host/base";
  auto other_format = seen;
  other_format[1].driver = "luks";
  for (const auto& layers : {unseen, of_others, replaced, part, deleted, far, other_format}) {
    const auto witness = StreamWitness::open(layers, 2);
    ASSERT_FALSE(witness.ok());
    EXPECT_FALSE(witness.error().message.empty());
  }
}

/// What was promised of a header, and what it states.
struct Header {
  const char* name;
  /// "" for none.
  std::string stated;
  std::string stated_format;
  bool keeps_base;
  /// Absent where an earlier process chose the name.
  std::optional<std::string> promised;
  /// What is wrong with it, or "".
  const char* wrong;
};

class HeaderTest : public testing::TestWithParam<Header> {};

TEST_P(HeaderTest, MustBeAsPromised) {
  const files::TempFolder folder;
  write_chain(folder, {{{1}}, {{1}}, {{1}}});
  faults::ImageRecipe recipe;
  recipe.virtual_size = kClusters * kCluster;
  recipe.backing_name = GetParam().stated;
  recipe.backing_format = GetParam().stated_format;
  write_image(folder, "top", recipe);
  PromisedHeader promised;
  promised.top = node_of(folder / "top");
  promised.keeps_base = GetParam().keeps_base;
  promised.backing_name = GetParam().promised;
  if (promised.keeps_base) {
    promised.base = node_of(folder / "layer2");
  }
  const auto seen = read_back(promised);
  const std::string wrong = GetParam().wrong;
  ASSERT_EQ(seen.ok(), wrong.empty()) << (seen.ok() ? *seen : seen.error().message);
  if (seen.ok()) {
    EXPECT_EQ(*seen, "");
  } else {
    EXPECT_EQ(seen.error().kind, ErrorKind::kJobFailed);
    EXPECT_EQ(seen.error().path, promised.top.filename);
    EXPECT_NE(seen.error().message.find(wrong), std::string::npos) << seen.error().message;
  }
}

std::string name_of_header(const testing::TestParamInfo<Header>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Promises, HeaderTest,
    testing::Values(
        Header{"NoneAndNone", "", "", false, {}, ""},
        Header{"NoneAndOne", "layer2", "qcow2", false, {}, "none should stay"},
        Header{"TheName", "layer2", "qcow2", true, "layer2", ""},
        Header{"TheNameWithoutAFormat", "layer2", "", true, "layer2", ""},
        Header{"TheNameAndNone", "", "", true, "layer2", "states no backing file"},
        Header{"TheNameAndTheOldOne", "layer1", "qcow2", true, "layer2",
               "states backing file 'layer1' where backing file 'layer2' was expected"},
        Header{"TheNameOfAnotherFile", "layer1", "qcow2", true, "layer1", "leads to another file"},
        Header{"TheNameOfNoFile", "gone", "qcow2", true, "gone", "leads to no file"},
        Header{"TheNameAndAnotherFormat", "layer2", "raw", true, "layer2", "states format 'raw'"},
        Header{"AUrlThatIsNotLookedAt", "nbd://host/layer2", "qcow2", true, "nbd://host/layer2",
               ""},
        Header{"AnyName", "layer2", "qcow2", true, {}, ""},
        Header{"AnyNameAndNone", "", "", true, {}, "one should stay"},
        Header{"AnyNameAndTheOldOne", "layer1", "qcow2", true, {}, "leads to another file"},
        Header{"AnyNameAndNoFile", "gone", "qcow2", true, {}, "leads to no file"}),
    name_of_header);

TEST(StreamWitnessTest, AHeaderThatCannotBeReadFromHereSaysWhy) {
  const files::TempFolder folder;
  const auto chain = write_chain(folder, {{{1}}, {{1}}});
  PromisedHeader promised;
  promised.top = chain[0];
  promised.top.seen->is_qemus = false;
  promised.keeps_base = true;
  promised.backing_name = "layer1";
  const auto seen = read_back(promised);
  ASSERT_TRUE(seen.ok());
  EXPECT_NE(seen->find("may not be the file that QEMU has open"), std::string::npos) << *seen;
}

TEST(StreamWitnessTest, OnlyTheNameOfAnUnseenBaseCounts) {
  const files::TempFolder folder;
  const auto chain = write_chain(folder, {{{1}}, {{1}}});
  PromisedHeader promised;
  promised.top = chain[0];
  promised.keeps_base = true;
  promised.backing_name = "layer1";
  promised.base = chain[1];
  promised.base->seen.reset();
  const auto seen = read_back(promised);
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(*seen, "");
  promised.backing_name = "layer2";
  EXPECT_FALSE(read_back(promised).ok());
}

}  // namespace
}  // namespace blockpull::driver::qemu
