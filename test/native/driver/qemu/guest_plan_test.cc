// SPDX-License-Identifier: Apache-2.0
//
// The plan of a pull under a running guest: its refusals, and how much it would copy.

#include "driver/qemu/guest_plan.h"

#include <filesystem>
#include <map>

#include <unistd.h>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "driver/qemu/guest_files.h"
#include "driver/qemu/job_id.h"
#include "files/sample_chain.h"
#include "files/temp_folder.h"

namespace blockpull::driver::qemu {
namespace {

constexpr std::uint64_t kCluster = 65536;
constexpr std::uint64_t kSize = 8 * kCluster;

/// One image as QEMU describes it.
struct Layer {
  std::string file;
  std::string format = "qcow2";
  std::uint64_t size = kSize;
  std::optional<std::uint64_t> on_disk = 3 * kCluster;
};

/// A guest whose disk vda has these images, top first, as the nodes "n0", "n1", …
class Guest {
 public:
  explicit Guest(std::vector<Layer> layers) : layers_(std::move(layers)) {}

  /// Optionally with a job of that id, on the nodes of these numbers, and with a filter over one of
  /// them.
  [[nodiscard]] GuestView view(const std::string& job_id = "",
                               const std::vector<std::size_t>& on = {},
                               std::optional<std::size_t> over = {}) const {
    GuestView view;
    view.peer = peer_;
    std::string image;
    std::string stats;
    std::string nodes = text(R"({"id": 90, "type": "block-job", "name": ")", job_id, R"("}, )",
                             R"({"id": 91, "type": "block-driver", "name": "filter"}, )",
                             R"({"id": 92, "type": "block-driver", "name": "file"})");
    std::string edges;
    for (std::size_t i = layers_.size(); i-- > 0;) {
      const Layer& layer = layers_[i];
      image = text(R"({"filename": ")", layer.file, R"(", "format": ")", layer.format,
                   R"(", "virtual-size": )", layer.size,
                   layer.on_disk ? text(R"(, "actual-size": )", *layer.on_disk) : std::string(),
                   image.empty() ? std::string()
                                 : text(R"(, "backing-filename": ")", layers_[i + 1].file,
                                        R"(", "backing-image": )", image),
                   "}");
      stats = text(i == 0 ? R"({"device": "vda", )" : "{", R"("node-name": "n)", i, "\"",
                   stats.empty() ? stats : text(R"(, "backing": )", stats), "}");
      nodes += text(R"(, {"id": )", i, R"(, "type": "block-driver", "name": "n)", i, "\"}");
      edges += edge("file", i, 92) + (i == 0 ? std::string() : edge("backing", i - 1, i));
    }
    for (const std::size_t node : on) {
      edges += edge("job", 90, node);
    }
    if (over) {
      edges += edge("job", 90, 91) + edge("file", 91, *over);
    }
    const auto devices = qmp::Json::parse(
        text(R"([{"device": "vda", "inserted": {"node-name": "n0", "image": )", image, "}}]"));
    const auto graph = qmp::Json::parse(
        text(R"({"nodes": [)", nodes, R"(], "edges": [)", edges.substr(0, edges.size() - 2), "]}"));
    const auto names = qmp::Json::parse(text("[", stats, "]"));
    EXPECT_TRUE(devices.ok() && graph.ok() && names.ok());
    auto read = BlockGraph::of_devices(*devices, *names, *graph);
    EXPECT_TRUE(read.ok()) << read.error().message;
    view.graph = std::move(read).value();
    view.state.status = "running";
    if (!job_id.empty()) {
      qmp::BlockJob job;
      job.id = job_id;
      job.type = "stream";
      view.jobs.push_back(std::move(job));
    }
    return view;
  }

  void lacks_commands() { peer_.commands = nullptr; }

 private:
  static std::string edge(const std::string& name, std::size_t parent, std::size_t child) {
    return text(R"({"name": ")", name, R"(", "parent": )", parent, R"(, "child": )", child, "}, ");
  }

  const std::vector<Layer> layers_;
  qmp::Peer peer_{true,
                  {7, 2, 22},
                  std::make_shared<const qmp::CommandSet>(
                      qmp::CommandSet{"block-stream", "job-finalize", "blockdev-reopen"})};
};

GuestPullOptions everything() {
  GuestPullOptions options;
  options.disk.name = "vda";
  return options;
}

GuestPullOptions onto(std::size_t index) {
  GuestPullOptions options = everything();
  options.base = BaseChoice{"", index};
  return options;
}

Result<GuestPlan> plan(const GuestView& view, const GuestPullOptions& options,
                       bool is_followed = false) {
  return plan_of_view(view, options, [is_followed](const std::string&) {
    return TrackedJob{is_followed, nullptr};
  });
}

std::vector<ErrorKind> refusals(const GuestView& view, const GuestPullOptions& options,
                                bool is_followed = false) {
  std::vector<ErrorKind> kinds;
  const auto planned = plan(view, options, is_followed);
  EXPECT_TRUE(planned.ok());
  for (const Error& error : planned->refusals) {
    kinds.push_back(error.kind);
  }
  return kinds;
}

Guest three_layers() {
  return Guest({{"/no/top"}, {"/no/mid"}, {"/no/base"}});
}

TEST(GuestPlanTest, ADiskOrABaseThatIsNotThereHasNoPlan) {
  GuestPullOptions other = everything();
  other.disk.name = "vdx";
  EXPECT_EQ(plan(three_layers().view(), other).error().kind, ErrorKind::kNoDisk);
  EXPECT_EQ(plan(three_layers().view(), onto(3)).error().kind, ErrorKind::kNoBase);
}

TEST(GuestPlanTest, ReportsRefusalsInTheOrderOfAStart) {
  Guest guest({{"/no/top"}, {"/no/mid", "qcow2", kCluster}, {"/no/base"}});
  guest.lacks_commands();
  EXPECT_EQ(refusals(guest.view(), onto(2), true),
            (std::vector{ErrorKind::kUnsupported, ErrorKind::kUnsupported, ErrorKind::kUnsupported,
                         ErrorKind::kJobActive}));
  EXPECT_TRUE(refusals(three_layers().view(), onto(2)).empty());
}

TEST(GuestPlanTest,
     WhatIsWrongWithOtherArgumentsIsToldOfADiskThatIsThereAndAfterWhatIsWrongWithIt) {
  const auto with = [](GuestPullOptions options) {
    options.late_refusal = make_error(ErrorKind::kOverflow, "bandwidth is too large");
    return options;
  };
  const GuestView view = three_layers().view();
  EXPECT_EQ(refusals(view, with(everything())), std::vector{ErrorKind::kOverflow});
  EXPECT_EQ(refusals(view, with(everything()), true),
            (std::vector{ErrorKind::kJobActive, ErrorKind::kOverflow}));
  EXPECT_EQ(plan(view, with(onto(3))).error().kind, ErrorKind::kNoBase);
  GuestPullOptions other = with(everything());
  other.disk.name = "vdx";
  EXPECT_EQ(plan(view, other).error().kind, ErrorKind::kNoDisk);
}

TEST(GuestPlanTest, ARefusedPullIsStillDescribed) {
  const Guest guest({{"/no/top"}, {"/no/mid", "qcow2", kCluster}, {"/no/base"}});
  const auto planned = plan(guest.view(), onto(2));
  ASSERT_TRUE(planned.ok());
  ASSERT_EQ(planned->refusals.size(), 1U);
  const PullPlan measured = measure(*planned, [] { return true; }).value();
  EXPECT_EQ(measured.released, std::vector<std::string>{"/no/mid"});
  EXPECT_EQ(measured.base, "/no/base");
  EXPECT_EQ(measured.refusals.front().message, planned->refusals.front().message);
}

TEST(GuestPlanTest, AJobOnPulledLayersConflictsAndOneBelowDoesNot) {
  const Guest guest = three_layers();
  for (const std::vector<std::size_t>& on : {std::vector<std::size_t>{0}, {1}, {1, 2}}) {
    EXPECT_EQ(refusals(guest.view("foreign", on), onto(2)), std::vector{ErrorKind::kJobActive});
  }
  EXPECT_TRUE(refusals(guest.view("foreign", {2}), onto(2)).empty());
  EXPECT_EQ(refusals(guest.view("foreign", {2}), everything()), std::vector{ErrorKind::kJobActive});
  EXPECT_EQ(refusals(guest.view("foreign", {2}, 2), onto(2)), std::vector{ErrorKind::kJobActive});
  // A QEMU that does not report which nodes its jobs use.
  EXPECT_EQ(refusals(guest.view("vda"), onto(2)), std::vector{ErrorKind::kJobActive});
}

TEST(GuestPlanTest, OurJobThatAStartWouldTakeOverRefusesNothing) {
  const GuestView view = three_layers().view(job_id_for(job::Kind::kPull, "vda", "n0"), {0, 1});
  EXPECT_TRUE(refusals(view, onto(2)).empty());
  EXPECT_EQ(refusals(view, everything()), std::vector{ErrorKind::kJobActive});
  EXPECT_EQ(refusals(view, onto(2), true), std::vector{ErrorKind::kJobActive});
}

TEST(GuestPlanTest, FilesThatAreNotHereAreEstimatedByTheirSizesOnDisk) {
  const auto measured = [](const GuestPullOptions& options, std::optional<std::uint64_t> mid) {
    const Guest guest({{"/no/top"}, {"/no/mid", "qcow2", kSize, mid}, {"/no/base"}});
    return measure(*plan(guest.view(), options), [] { return true; }).value();
  };
  const PullPlan to_base = measured(onto(2), 2 * kCluster);
  EXPECT_EQ(to_base.bytes_to_move, 2 * kCluster);
  EXPECT_EQ(to_base.bytes_to_allocate, 2 * kCluster);
  EXPECT_FALSE(to_base.bytes_free);
  EXPECT_EQ(to_base.virtual_size, kSize);
  EXPECT_STREQ(to_base.method, "block-stream");
  EXPECT_EQ(measured(everything(), 2 * kCluster).bytes_to_move, 5 * kCluster);
  EXPECT_EQ(measured(everything(), 100 * kCluster).bytes_to_move, kSize);
  EXPECT_EQ(measured(everything(), std::nullopt).bytes_to_move, kSize);
  const PullPlan none = measured(onto(1), 2 * kCluster);
  EXPECT_EQ(none.bytes_to_move, 0U);
  EXPECT_STREQ(none.method, "none");
}

TEST(GuestPlanTest, AGuestWhoseQemuMayNotWriteIsRefused) {
  struct State {
    const char* status;
    const char* migration;
    bool is_refused;
  };
  const std::vector<State> states{{"running", "", false},
                                  {"paused", "completed", false},
                                  {"postmigrate", "completed", true},
                                  {"running", "active", true},
                                  {"inmigrate", "", true},
                                  {"running", "failed", false}};
  for (const State& state : states) {
    GuestView view = three_layers().view();
    view.state = {state.status, state.migration, ""};
    EXPECT_EQ(refusals(view, everything()),
              state.is_refused ? std::vector{ErrorKind::kGuestBusy} : std::vector<ErrorKind>{})
        << state.status << " " << state.migration;
  }
}

/// The test's own process stands for QEMU, and has the files open.
class GuestFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    image::CreateOptions base;
    base.path = folder_ / "base";
    base.size = kSize;
    files::create_qcow2(base);
    files::create_overlay(folder_ / "mid", kSize, "base", image::Format::kQcow2);
    files::create_overlay(folder_ / "top", kSize, "mid", image::Format::kQcow2);
    files::write_cluster(folder_ / "base", 0, 'b');
    files::write_cluster(folder_ / "base", 1, 'b');
    files::write_cluster(folder_ / "mid", 1, 'm');
    files::write_cluster(folder_ / "mid", 2, 'm');
    files::write_cluster(folder_ / "top", 2, 't');
    for (const char* const name : {"top", "mid", "base"}) {
      open(folder_ / name);
    }
  }

  void open(const std::string& path) {
    auto file = io::PosixFile::open(path, io::Access::kReadOnly);
    ASSERT_TRUE(file.ok()) << path;
    open_[path] = std::move(file).value();
  }

  /// With other layers than top, mid and base, if given.
  [[nodiscard]] PullPlan measured(const GuestPullOptions& options,
                                  std::vector<Layer> layers = {}) const {
    if (layers.empty()) {
      layers = {{folder_ / "top"}, {folder_ / "mid"}, {folder_ / "base"}};
    }
    GuestView view = Guest(layers).view();
    see_files(view.graph, {::getpid()});
    return measure(*plan(view, options), [] { return true; }).value();
  }

  const files::TempFolder folder_;
  std::map<std::string, std::unique_ptr<io::PosixFile>> open_;
};

TEST_F(GuestFilesTest, LocalFilesAreCountedClusterByCluster) {
  const PullPlan whole = measured(everything());
  EXPECT_EQ(whole.bytes_to_move, 2 * kCluster);
  EXPECT_EQ(whole.bytes_to_allocate, 2 * kCluster);
  EXPECT_GT(whole.bytes_free.value_or(0), 0U);
  EXPECT_TRUE(whole.refusals.empty());
  EXPECT_EQ(measured(onto(2)).bytes_to_move, kCluster);
  EXPECT_EQ(measured(onto(1)).bytes_to_move, 0U);
}

TEST_F(GuestFilesTest, AreNotEstimatedIfNobodyWantsTheResult) {
  const std::vector<Layer> layers = {{folder_ / "top"}, {folder_ / "mid"}, {folder_ / "base"}};
  GuestView view = Guest(layers).view();
  see_files(view.graph, {::getpid()});
  const auto given_up = measure(*plan(view, everything()), [] { return false; });
  ASSERT_FALSE(given_up.ok());
  EXPECT_EQ(given_up.error().kind, ErrorKind::kCancelled);
}

TEST_F(GuestFilesTest, RelativeNamesAreResolvedInQemusFolder) {
  std::vector<Layer> layers;
  for (const char* const name : {"top", "mid", "base"}) {
    layers.push_back({std::filesystem::relative(folder_ / name).string()});
  }
  EXPECT_EQ(measured(everything(), layers).bytes_to_move, 2 * kCluster);
  EXPECT_TRUE(measured(everything(), layers).bytes_free);
  // If QEMU's process cannot be examined, its folder is unknown.
  const GuestView view = Guest(layers).view();
  EXPECT_FALSE(measure(*plan(view, everything()), [] { return true; })->bytes_free);
}

TEST_F(GuestFilesTest, OtherFilesThanQemusAreNotCounted) {
  const std::string top = folder_ / "top";
  const std::string mid = folder_ / "mid";
  const std::string base = folder_ / "base";
  files::create_overlay(folder_ / "other", kSize, "base", image::Format::kQcow2);
  for (const std::vector<Layer>& layers : {std::vector<Layer>{{top}, {mid}, {"base"}},
                                           {{top}, {folder_ / "other"}, {base}},
                                           {{top}, {folder_ / "gone"}, {base}},
                                           {{top}, {mid}, {"nbd://host/base"}},
                                           {{top, "qed"}, {mid}, {base}}}) {
    EXPECT_FALSE(measured(everything(), layers).bytes_free);
  }
  EXPECT_TRUE(measured(everything(), {{top}, {mid}, {base}}).bytes_free);
  // Another file of that name, and none.
  std::filesystem::rename(folder_ / "other", mid);
  EXPECT_FALSE(measured(everything(), {{top}, {mid}, {base}}).bytes_free);
  std::filesystem::remove(mid);
  EXPECT_FALSE(measured(everything(), {{top}, {mid}, {base}}).bytes_free);
}

TEST_F(GuestFilesTest, FilesOutsideTheAllowedFoldersAreRefused) {
  const auto refused = [this](const std::string& folder, bool is_qemu_seen = true) {
    GuestView view = Guest({{folder_ / "top"}, {folder_ / "mid"}, {folder_ / "base"}}).view();
    if (is_qemu_seen) {
      see_files(view.graph, {::getpid()});
    }
    GuestPullOptions options = everything();
    options.backing_paths = std::vector<std::string>{folder};
    return refusals(view, options);
  };
  EXPECT_TRUE(refused(folder_ / "").empty());
  EXPECT_EQ(refused("/proc"), std::vector{ErrorKind::kPolicy});
  // It cannot be shown that the files are inside.
  EXPECT_EQ(refused(folder_ / "", false), std::vector{ErrorKind::kPolicy});
}

}  // namespace
}  // namespace blockpull::driver::qemu
