// SPDX-License-Identifier: Apache-2.0
//
// Goal: after a power failure at any time of a pull into an image with internal snapshots, the
// image is sound, the disk and every snapshot read the same bytes, and the next pull finishes
// without a leak. Method: as crash_test.cc, over random images that QEMU's tools make. Each state
// of the disk is read by the tests' own reader (faults::read_disk), with the L1 table of that state
// put into the header. The refcounts are judged by the library's check, which
// check/agreement.test.ts holds against qemu-img; the completed pulls also by qemu-img itself.

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/text.h"
#include "core/image/qcow2/check/check.h"
#include "core/image/qcow2/snapshots.h"
#include "driver/pull_rig.h"
#include "faults/crash_states.h"
#include "faults/stored_content.h"
#include "files/temp_folder.h"
#include "files/test_seed.h"

namespace blockpull::driver {
namespace {

using faults::BackingFiles;
using faults::Content;
using faults::CrashWalk;
using faults::RecordedDisk;
using faults::RecordingFile;
using image::qcow2::CheckReport;

using States = std::vector<std::vector<std::byte>>;

std::unique_ptr<RecordingFile> file_of(const Content& image) {
  return std::make_unique<RecordingFile>(std::make_shared<RecordedDisk>(image));
}

/// What each state of the disk reads: the active one, then the snapshots.
States read_states(const Content& image, const BackingFiles& backings) {
  States states{faults::read_disk(image, backings)};
  auto opened = image::Qcow2Image::open(file_of(image));
  if (!opened.ok()) {
    return {};
  }
  const auto table = read_snapshot_table((*opened)->file(), (*opened)->header());
  for (const auto& snapshot : table.value().snapshots) {
    Content reverted = image;
    std::byte l1[12];
    put_be_at<std::uint32_t>(l1, 0, snapshot.l1_entries);
    put_be_at<std::uint64_t>(l1, 4, snapshot.l1_offset);
    reverted.write(image::qcow2::field::kL1Size, l1);
    states.push_back(faults::read_disk(reverted, backings));
  }
  return states;
}

Result<CheckReport> checked(const Content& image) {
  return image::qcow2::check(file_of(image), WalkWatch([] { return true; }));
}

/// An overlay with snapshots over one raw base, or over a middle layer as well.
class SnapshotCrash : public testing::Test {
 protected:
  void SetUp() override { random_.seed(test_seed()); }

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  std::string write_to(const std::string& image, const std::string& format, std::uint64_t clusters,
                       std::uint64_t cluster_size) {
    std::string command = "qemu-io -f " + format;
    for (std::uint64_t i = 1 + below(3); i > 0; --i) {
      const std::uint64_t first = below(clusters);
      const std::uint64_t count = 1 + below(std::min<std::uint64_t>(clusters - first, 12));
      const std::string how = below(4) == 0 ? "-z" : text("-P ", 1 + below(250));
      command +=
          text(" -c 'write ", how, " ", first * cluster_size, " ", count * cluster_size, "'");
    }
    return command + " " + image;
  }

  void make() {
    const std::uint64_t cluster_size = below(2) == 0 ? 512 : 4096;
    const std::uint64_t clusters = 20 + below(180);
    const std::uint64_t size = clusters * cluster_size - (below(2) == 0 ? 512 : 0);
    const char* const bits = below(2) == 0 ? "8" : "16";
    std::vector<std::string> commands{
        text("qemu-img create -f raw base ", size + below(4) * 512),
        write_to("base", "raw", clusters - 1, cluster_size),
        write_to("base", "raw", clusters - 1, cluster_size),
        text("qemu-img create -f qcow2 -b base -F raw -o cluster_size=", cluster_size,
             ",refcount_bits=", bits, " active.qcow2 ", size)};
    for (std::uint64_t i = 2 + below(4); i > 0; --i) {
      commands.push_back(write_to("active.qcow2", "qcow2", clusters - 1, cluster_size));
      commands.push_back(text("qemu-img snapshot -c s", i, " active.qcow2"));
    }
    for (const std::string& command : commands) {
      ASSERT_EQ(faults::exit_code("cd " + (folder_ / "") + " && " + command), 0) << command;
    }
    start_ = faults::load(folder_ / "active.qcow2");
    backings_["base"] = {faults::load(folder_ / "base"), true};
    before_ = read_states(start_, backings_);
  }

  [[nodiscard]] std::string fault_of(const Content& image) const {
    const auto report = checked(image);
    if (!report.ok() || report->errors > 0) {
      return report.ok() ? report->findings.front().message : report.error().message;
    }
    return read_states(image, backings_) == before_ ? "" : "a state reads other bytes";
  }

  [[nodiscard]] std::string fault_of_completed(const Content& image) const {
    const auto report = checked(image);
    if (report.ok() && report->leaks > 0) {
      return text("leaks: ", report->findings.front().message);
    }
    auto opened = image::Qcow2Image::open(file_of(image));
    if (opened.ok() && (*opened)->backing()) {
      return "the header names a backing file";
    }
    return fault_of(image);
  }

  [[nodiscard]] std::string fault_after_pull(const Content& image) const {
    if (std::string fault = fault_of(image); !fault.empty()) {
      return fault;
    }
    const auto disk = std::make_shared<RecordedDisk>(image);
    const PullRun run = run_pull(disk, backings_, {});
    if (!run.completed()) {
      return "the next pull " + run.summary();
    }
    const std::string fault = fault_of_completed(disk->now());
    return fault.empty() ? fault : "after the next pull: " + fault;
  }

  const files::TempFolder folder_;
  std::mt19937_64 random_;
  Content start_;
  BackingFiles backings_;
  States before_;
};

TEST_F(SnapshotCrash, AnyStateIsSoundAndTheNextPullFinishes) {
  for (int round = 0; round < (is_soak() ? 150 : 6); ++round) {
    make();
    ASSERT_EQ(fault_of(start_), "");
    const auto disk = std::make_shared<RecordedDisk>(start_);
    PullScript script;
    script.bandwidth = 8192;
    script.seed = random_();
    const PullRun run = run_pull(disk, backings_, script);
    ASSERT_TRUE(run.completed()) << run.summary();
    ASSERT_EQ(fault_of_completed(disk->now()), "");
    faults::store(disk->now(), folder_ / "pulled");
    ASSERT_EQ(faults::exit_code("qemu-img check -f qcow2 " + (folder_ / "pulled")), 0);

    CrashWalk walk(disk->start(), disk->log());
    const std::size_t points = disk->log().size();
    const std::size_t wanted = is_soak() ? 200 : 25;
    for (std::size_t point = 0; walk.next(); ++point) {
      if (random_() % points >= wanted) {
        continue;
      }
      const auto& here = walk.here();
      for (const auto& kept :
           faults::choose_subsets(here.pending.size(), is_soak() ? 20 : 4, random_)) {
        ASSERT_EQ(fault_after_pull(here.state(kept)), "")
            << "round " << round << ", after entry " << point << " of " << points;
      }
    }
  }
}

}  // namespace
}  // namespace blockpull::driver
