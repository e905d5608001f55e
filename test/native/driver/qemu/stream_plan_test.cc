// SPDX-License-Identifier: Apache-2.0
//
// The request that a pull sends to QEMU, and what prevents it.

#include "driver/qemu/stream_plan.h"

#include <cctype>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "driver/qemu/job_id.h"
#include "driver/qemu/recorded_answers.h"

namespace blockpull::driver::qemu {
namespace {

constexpr qmp::QemuVersion kVersion{7, 2, 22};

struct Layer {
  std::string name;
  std::string file;
  std::string stated;
  std::uint64_t size = 1 << 20;
  std::string format = "qcow2";
};

/// A graph from the answers of query-block, query-blockstats and the graph query.
BlockGraph graph_of(const std::string& devices, const std::string& stats,
                    const std::string& edges = "{}") {
  const auto images = qmp::Json::parse(devices);
  const auto names = qmp::Json::parse(stats);
  const auto graph = qmp::Json::parse(edges);
  EXPECT_TRUE(images.ok() && names.ok() && graph.ok());
  auto read = BlockGraph::of_devices(*images, *names, *graph);
  EXPECT_TRUE(read.ok()) << read.error().message;
  return read.ok() ? std::move(read).value() : BlockGraph();
}

/// A chain, top first.
BlockGraph chain_of(const std::vector<Layer>& layers) {
  std::string image;
  std::string stats;
  std::string nodes;
  std::string edges;
  for (std::size_t i = layers.size(); i-- > 0;) {
    const Layer& layer = layers[i];
    const std::string backing = image.empty() ? image
                                              : text(R"(, "backing-filename": ")", layer.stated,
                                                     R"(", "backing-image": )", image);
    image = text(R"({"filename": ")", layer.file, R"(", "format": ")", layer.format,
                 R"(", "virtual-size": )", layer.size, backing, "}");
    stats = text(i == 0 ? R"({"device": "vda", )" : "{", R"("node-name": ")", layer.name, "\"",
                 stats.empty() ? stats : text(R"(, "backing": )", stats), "}");
    nodes += text(nodes.empty() ? "" : ", ", R"({"type": "block-driver", "id": )", i + 1,
                  R"(, "name": ")", layer.name, "\"}");
    if (i > 0) {
      edges += text(edges.empty() ? "" : ", ", R"({"name": "backing", "parent": )", i,
                    R"(, "child": )", i + 1, "}");
    }
  }
  return graph_of(text(R"([{"device": "vda", "inserted": {"node-name": ")", layers[0].name,
                       R"(", "image": )", image, "}}]"),
                  text("[", stats, "]"),
                  text(R"({"nodes": [)", nodes, R"(], "edges": [)", edges, "]}"));
}

GuestPullOptions onto(const std::string& base) {
  GuestPullOptions options;
  options.disk.name = "vda";
  options.base = BaseChoice{base, std::nullopt};
  return options;
}

GuestPullOptions onto(std::size_t index) {
  GuestPullOptions options = onto("");
  options.base->index = index;
  return options;
}

GuestPullOptions everything(const std::string& disk = "vda") {
  GuestPullOptions options;
  options.disk.name = disk;
  return options;
}

/// The plan that a start makes, or the first refusal.
Result<StreamPlan> plan(const BlockGraph& graph, const GuestPullOptions& options,
                        const qmp::QemuVersion& version = kVersion) {
  BLOCKPULL_TRY(judged,
                plan_stream(graph, *graph.find_device(options.disk.name), options, version));
  if (!judged.refusals.empty()) {
    return judged.refusals.front();
  }
  return judged.plan;
}

/// Files of the layers that drop out.
std::vector<std::string> dropped(const StreamPlan& plan) {
  std::vector<std::string> files;
  for (std::size_t i = 1; i < plan.base_index; ++i) {
    files.push_back(plan.layers[i].filename);
  }
  return files;
}

BlockGraph recorded_guest(const std::string& name) {
  const qmp::Json answers = recorded(name);
  auto read = BlockGraph::of_devices(answers.member("devices"), answers.member("stats"),
                                     answers.member("graph"));
  EXPECT_TRUE(read.ok()) << name;
  return read.ok() ? std::move(read).value() : BlockGraph();
}

TEST(StreamPlanTest, EverythingIsPulledWhereNoBaseIsNamed) {
  const auto planned = plan(recorded_guest("drive-guest"), everything());
  ASSERT_TRUE(planned.ok());
  EXPECT_EQ(planned->node, "#block124");
  EXPECT_EQ(planned->path, "/vms/top.qcow2");
  EXPECT_EQ(planned->virtual_size, 2097152U);
  EXPECT_FALSE(planned->base_node || planned->backing_file || planned->base);
  EXPECT_TRUE(planned->has_work);
  EXPECT_EQ(planned->layers.size(), 3U);
  EXPECT_EQ(dropped(*planned),
            (std::vector<std::string>{"/vms/sub/mid.qcow2", "/vms/sub/../base.img"}));
}

TEST(StreamPlanTest, ABaseIsFoundByEachOfItsNames) {
  const BlockGraph graph = recorded_guest("drive-guest");
  for (const GuestPullOptions& options :
       {onto(2), onto("/vms/sub/../base.img"), onto("#block539"), onto("../base.img")}) {
    const auto planned = plan(graph, options);
    ASSERT_TRUE(planned.ok()) << options.base->name;
    EXPECT_EQ(planned->base_node, "#block539");
    EXPECT_EQ(planned->backing_file, "sub/../base.img");
    EXPECT_EQ(planned->base->format, "raw");
    EXPECT_EQ(planned->layers.size(), 3U);
    EXPECT_EQ(dropped(*planned), std::vector<std::string>{"/vms/sub/mid.qcow2"});
  }
}

TEST(StreamPlanTest, ALayerThatIsNotBelowIsNoBase) {
  const BlockGraph graph = recorded_guest("drive-guest");
  for (const GuestPullOptions& options : {onto(0), onto(3), onto(SIZE_MAX), onto("/vms/top.qcow2"),
                                          onto("#block124"), onto("nope"), onto("")}) {
    const auto planned = plan(graph, options);
    ASSERT_FALSE(planned.ok()) << options.base->name;
    EXPECT_EQ(planned.error().kind, ErrorKind::kNoBase);
  }
}

/// How the base is named, for a chain of three.
struct BaseName {
  std::string mid_stated;
  std::string mid_file;
  std::string base_stated;
  std::string base_file;
  std::string named;
};

class BaseNameTest : public testing::TestWithParam<BaseName> {};

TEST_P(BaseNameTest, IsPutTogetherFromTheHeaders) {
  const BaseName& names = GetParam();
  const BlockGraph graph = chain_of({{"top", "/vms/top.qcow2", names.mid_stated},
                                     {"mid", names.mid_file, names.base_stated},
                                     {"base", names.base_file, ""}});
  const auto planned = plan(graph, onto(2));
  if (names.named.empty()) {
    ASSERT_FALSE(planned.ok());
    EXPECT_EQ(planned.error().kind, ErrorKind::kUnsupported);
    return;
  }
  ASSERT_TRUE(planned.ok()) << planned.error().message;
  EXPECT_EQ(planned->backing_file, names.named);
  const bool is_relative = names.named[0] != '/';
  auto relative = onto(2);
  relative.require_relative = true;
  EXPECT_EQ(plan(graph, relative).ok(), is_relative);
}

INSTANTIATE_TEST_SUITE_P(
    Names, BaseNameTest,
    testing::Values(
        BaseName{"mid.qcow2", "/vms/mid.qcow2", "base.qcow2", "/vms/base.qcow2", "base.qcow2"},
        BaseName{"a/mid.qcow2", "/vms/a/mid.qcow2", "b/base.qcow2", "/vms/a/b/base.qcow2",
                 "a/b/base.qcow2"},
        BaseName{"a/mid.qcow2", "/vms/a/mid.qcow2", "../base.qcow2", "/vms/a/../base.qcow2",
                 "a/../base.qcow2"},
        BaseName{"/srv/mid.qcow2", "/srv/mid.qcow2", "base.qcow2", "/srv/base.qcow2",
                 "/srv/base.qcow2"},
        BaseName{"mid.qcow2", "/vms/mid.qcow2", "/srv/base.qcow2", "/srv/base.qcow2",
                 "/srv/base.qcow2"},
        // QEMU was given other backing files than the headers state.
        BaseName{"mid.qcow2", "/vms/mid.qcow2", "base.qcow2", "/else/base.qcow2",
                 "/else/base.qcow2"},
        BaseName{"old.qcow2", "/vms/mid.qcow2", "base.qcow2", "/vms/base.qcow2", "base.qcow2"},
        BaseName{"", "/vms/mid.qcow2", "base.qcow2", "/vms/base.qcow2", "/vms/base.qcow2"},
        BaseName{"mid.qcow2", "/vms/mid.qcow2", "", "else/base.qcow2", ""}));

TEST(StreamPlanTest, AnImmediateBaseIsNoWorkAndNoRefusal) {
  const BlockGraph graph = recorded_guest("unsafe-images");
  auto options = onto(1);
  options.disk.name = "ext";
  const auto planned = plan(graph, options);
  ASSERT_TRUE(planned.ok());
  EXPECT_FALSE(planned->has_work);
  EXPECT_TRUE(dropped(*planned).empty());
  EXPECT_EQ(planned->backing_file, "base.img");
}

TEST(StreamPlanTest, AnImageOpenWithoutItsStatedBackingFileIsRefused) {
  const BlockGraph graph = graph_of(
      R"([{"device": "vda", "inserted": {"node-name": "top", "image": {"filename": "/v/top",
          "format": "qcow2", "virtual-size": 65536, "backing-filename": "/v/base"}}}])",
      R"([{"device": "vda", "node-name": "top"}])");
  const auto planned = plan(graph, everything());
  ASSERT_FALSE(planned.ok());
  EXPECT_EQ(planned.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(planned.error().message.find("without the backing file '/v/base'"), std::string::npos);
}

TEST(StreamPlanTest, ExtendedL2IsRefusedBeforeQemu82) {
  const BlockGraph graph = recorded_guest("unsafe-images");
  const auto with = [&graph](const qmp::QemuVersion& version) {
    return plan(graph, everything("ext"), version);
  };
  EXPECT_FALSE(with({7, 2, 22}).ok());
  EXPECT_EQ(with({8, 1, 99}).error().kind, ErrorKind::kFeatureUnsupported);
  EXPECT_TRUE(with({8, 2, 0}).ok());
  EXPECT_TRUE(with({10, 0, 2}).ok());
}

TEST(StreamPlanTest, InternalSnapshotsAreRefusedIfThereIsWork) {
  const BlockGraph alone = recorded_guest("unsafe-images");
  EXPECT_TRUE(plan(alone, everything("snap")).ok());
  const BlockGraph graph = graph_of(
      R"([{"device": "vda", "inserted": {"node-name": "top",
    "image": {"filename": "/t", "format": "qcow2", "snapshots": [{"name": "s"}],
              "backing-filename": "b", "backing-image": {"filename": "/b", "format": "raw"}}}}])",
      R"([{"device": "vda", "node-name": "top", "backing": {"node-name": "base"}}])");
  const auto planned = plan(graph, everything());
  ASSERT_FALSE(planned.ok());
  EXPECT_EQ(planned.error().kind, ErrorKind::kFeatureUnsupported);
  EXPECT_EQ(planned.error().path, "/t");
}

struct Sizes {
  std::uint64_t top;
  std::uint64_t mid;
  std::uint64_t base;
  bool is_refused;
};

class ShorterLayerTest : public testing::TestWithParam<Sizes> {};

TEST_P(ShorterLayerTest, IsRefusedOnlyWhenBothOthersAreLonger) {
  const Sizes& sizes = GetParam();
  const BlockGraph graph = chain_of({{"top", "/v/top", "mid", sizes.top},
                                     {"mid", "/v/mid", "base", sizes.mid},
                                     {"base", "/v/base", "", sizes.base}});
  const auto onto_base = plan(graph, onto(2));
  EXPECT_EQ(onto_base.ok(), !sizes.is_refused);
  if (!onto_base.ok()) {
    EXPECT_EQ(onto_base.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(onto_base.error().message.find("'/v/mid'"), std::string::npos);
  }
  EXPECT_TRUE(plan(graph, everything()).ok());
}

INSTANTIATE_TEST_SUITE_P(Sizes, ShorterLayerTest,
                         testing::Values(Sizes{8, 8, 8, false}, Sizes{8, 4, 8, true},
                                         Sizes{8, 7, 8, true}, Sizes{4, 4, 8, false},
                                         Sizes{8, 4, 4, false}, Sizes{4, 8, 8, false},
                                         Sizes{8, 8, 4, false}, Sizes{16, 4, 8, true}));

TEST(StreamPlanTest, ABaseWithoutAFormatIsRefused) {
  for (const char* const protocol : {"file", "host_device", "nbd", "https"}) {
    const BlockGraph graph = chain_of({{"top", "/v/top", "mid"},
                                       {"mid", "/v/mid", "base"},
                                       {"base", "/v/base", "", 1 << 20, protocol}});
    EXPECT_EQ(plan(graph, onto(2)).error().kind, ErrorKind::kUnsupported) << protocol;
    EXPECT_TRUE(plan(graph, everything()).ok());
  }
}

TEST(StreamPlanTest, AFilterThatCopiesIntoABackingFileIsRefused) {
  const BlockGraph graph = chain_of({{"top", "/v/top", "base"},
                                     {"cor", "/v/base", "", 1 << 20, "copy-on-read"},
                                     {"base", "/v/base", ""}});
  EXPECT_EQ(plan(graph, everything()).error().kind, ErrorKind::kUnsupported);
}

TEST(StreamPlanTest, AFilterOverTheBaseStaysWithIt) {
  const BlockGraph graph = chain_of({{"slow", "/v/top", "", 1 << 20, "throttle"},
                                     {"top", "/v/top", "mid"},
                                     {"mid", "/v/mid", "base"},
                                     {"debug", "/v/base", "", 1 << 20, "blkdebug"},
                                     {"slow2", "/v/base", "", 1 << 20, "throttle"},
                                     {"base", "/v/base", ""}});
  const auto planned = plan(graph, onto(2));
  ASSERT_TRUE(planned.ok()) << planned.error().message;
  EXPECT_EQ(planned->node, "top");
  EXPECT_EQ(planned->base_node, "debug");
  EXPECT_EQ(planned->backing_file, "base");
  EXPECT_EQ(planned->base->path, "/v/base");
  EXPECT_EQ(planned->base->format, "qcow2");
  EXPECT_EQ(dropped(*planned), std::vector<std::string>{"/v/mid"});
  EXPECT_EQ(plan(graph, onto("base"))->base_node, "debug");
}

TEST(StreamPlanTest, ATemporaryFileIsNotFilled) {
  struct Temporary {
    const char* file;
    const char* stated;
    bool is_refused;
  };
  const std::vector<Temporary> tops{{"/tmp/vl.A1b2C3", "", true},
                                    {"/tmp/vl.A1b2C3", "base", false},
                                    {"/v/top.TRANSIENT-vm0", "base", true},
                                    {"/tmp/vl.disk", "", false}};
  for (const Temporary& top : tops) {
    // Without a stated name, QEMU was given the chain by options.
    const BlockGraph graph = chain_of({{"top", top.file, top.stated}, {"base", "/v/base", ""}});
    const auto planned = plan(graph, everything());
    EXPECT_EQ(planned.ok(), !top.is_refused) << top.file << " " << top.stated;
    if (!planned.ok()) {
      EXPECT_EQ(planned.error().kind, ErrorKind::kUnsupported);
      EXPECT_NE(planned.error().message.find("'/v/base' is the disk"), std::string::npos);
    }
  }
}

TEST(StreamPlanTest, AJobsIdHasOnlyWhatQemuTakes) {
  for (const std::string& name : {std::string("vda"), std::string("#block121"),
                                  std::string("a b/ü\n"), std::string(), std::string(500, 'x')}) {
    const std::string id = job_id_for(job::Kind::kPull, name, "node");
    EXPECT_TRUE(std::isalpha(static_cast<unsigned char>(id[0])));
    for (const char byte : id) {
      EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(byte)) ||
                  std::string_view("-._").find(byte) != std::string_view::npos)
          << id;
    }
    EXPECT_LE(id.size(), 96U);
    EXPECT_TRUE(is_our_job(id));
  }
  EXPECT_FALSE(is_our_job("drive-vda"));
  EXPECT_FALSE(is_our_job(""));
}

TEST(StreamPlanTest, AJobThatVersion010BeganKeepsItsId) {
  const auto own = [](const std::string& listed) {
    qmp::BlockJob there;
    there.id = listed;
    const std::vector<qmp::BlockJob> jobs{there};
    const qmp::BlockJob* const found = find_own_job(jobs, "a");
    return found != nullptr ? found->id : job_id_for(job::Kind::kPull, "vda", "a");
  };
  for (const char* const ours :
       {"blockpull-vda-e40c292c", "blockpull-pull-vda-e40c292c", "blockpull-pull-disk0-e40c292c"}) {
    EXPECT_EQ(own(ours), ours);
  }
  for (const char* const other : {"blockpull-vda-00000000", "drive-vda", "vda-e40c292c"}) {
    EXPECT_EQ(own(other), "blockpull-pull-vda-e40c292c");
  }
  EXPECT_TRUE(is_our_job("blockpull-vda-e40c292c"));
}

TEST(StreamPlanTest, AJobsIdLeadsBackToItsNode) {
  // FNV-1a of "a" is known.
  EXPECT_EQ(job_id_for(job::Kind::kPull, "vda", "a"), "blockpull-pull-vda-e40c292c");
  const BlockGraph graph = recorded_guest("drive-guest");
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const std::string& name = graph.nodes()[i].name;
    EXPECT_EQ(graph.node_of_our_job(job_id_for(job::Kind::kPull, "vda", name)), name);
    EXPECT_EQ(graph.node_of_our_job("blockpull-vda-" + hash_digits(name)), name);
  }
  EXPECT_EQ(graph.node_of_our_job(job_id_for(job::Kind::kPull, "vda", "of another guest")), "");
  EXPECT_EQ(graph.node_of_our_job("libvirt-e40c292c"), "");
}

TEST(StreamPlanTest, ADiskIsFoundByPathThroughLinksOrByName) {
  const BlockGraph graph = recorded_guest("drive-guest");
  const auto top = graph.find_device("vda");
  EXPECT_EQ(find_disk_node(graph, {"/vms/top.qcow2", "", ""}).value(), top);
  EXPECT_EQ(find_disk_node(graph, {"/link", "/vms/top.qcow2", ""}).value(), top);
  EXPECT_EQ(find_disk_node(graph, {"", "", "vb0"}).value(), top);
  EXPECT_EQ(find_disk_node(graph, {"/else", "/else", "vda"}).error().kind, ErrorKind::kNoDisk);
  EXPECT_EQ(find_disk_node(graph, {"", "", "vdx"}).error().kind, ErrorKind::kNoDisk);
}

/// Why that disk is not found.
std::string why_not(const BlockGraph& graph, const DiskName& disk) {
  const auto node = find_disk_node(graph, disk);
  return node.ok() ? "it is found" : node.error().message;
}

/// Guests of `count` disks: 'disk0' on node 'node0', and so on.
BlockGraph disks_of(std::size_t count) {
  std::string devices;
  std::string stats;
  for (std::size_t i = 0; i < count; ++i) {
    const char* const comma = i == 0 ? "" : ", ";
    devices += text(comma, R"({"device": "disk)", i, R"(", "inserted": {"node-name": "node)", i,
                    R"(", "image": {"filename": "/vms/)", i, R"(.qcow2", "format": "qcow2"}}})");
    stats += text(comma, R"({"device": "disk)", i, R"(", "node-name": "node)", i, "\"}");
  }
  return graph_of(text("[", devices, "]"), text("[", stats, "]"));
}

TEST(StreamPlanTest, AMissingDiskIsReportedWithQemusDisks) {
  EXPECT_EQ(why_not(disks_of(0), {"/a", "", "vda"}),
            "QEMU has no image '/a' open as a guest's disk; it has no disk");
  EXPECT_EQ(why_not(disks_of(2), {"/a", "", "vda"}),
            "QEMU has no image '/a' open as a guest's disk; it has '/vms/0.qcow2', '/vms/1.qcow2'");
  EXPECT_EQ(why_not(disks_of(2), {"", "", "vdx"}),
            "QEMU has no device and no node 'vdx'; it has 'disk0', 'disk1'");
  EXPECT_TRUE(why_not(disks_of(8), {"", "", "vdx"}).ends_with(", 'disk7'"));
  EXPECT_TRUE(why_not(disks_of(9), {"", "", "vdx"}).ends_with(", 'disk7' and 1 more"));
  EXPECT_TRUE(why_not(disks_of(500), {"/a", "", ""}).ends_with("/7.qcow2' and 492 more"));
}

TEST(StreamPlanTest, ARelativeNameThatMayBeTheDiskIsReported) {
  const auto graph = [](const char* file) { return chain_of({{"top", file, "", 1 << 20}}); };
  for (const char* const file :
       {"disk.qcow2", "./disk.qcow2", "../disk.qcow2", "../../disk.qcow2", "vms/disk.qcow2"}) {
    EXPECT_EQ(why_not(graph(file), {"/vms/disk.qcow2", "", "sda"}),
              text("QEMU has no image '/vms/disk.qcow2' open as a guest's disk; it has '", file,
                   "'; QEMU was started with relative names, so if '", file,
                   "' is that image, name the disk by its device 'vda' or by its node 'top'"));
  }
  // Searched through a link; and if the device's name would only lead to that path again.
  const DiskName linked{"/link", "/vms/disk.qcow2", "vda"};
  EXPECT_TRUE(why_not(graph("disk.qcow2"), linked).ends_with("name the disk by its node 'top'"));
  for (const char* const file : {"isk.qcow2", "other/disk.qcow2", "/disk.qcow2", "../", ""}) {
    EXPECT_EQ(why_not(graph(file), {"/vms/disk.qcow2", "", "sda"}).find("relative"),
              std::string::npos)
        << file;
  }
}

}  // namespace
}  // namespace blockpull::driver::qemu
