// SPDX-License-Identifier: Apache-2.0
//
// The single checks, with libvirt's numbers and words.

#include "virt/session/checks.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "virt/hosts/embed/block_jobs.h"
#include "virt/session/base_name.h"

namespace blockpull::virt {
namespace {

void expect_failure(const Failure& failure, int code, int domain, const std::string& message) {
  EXPECT_EQ(static_cast<int>(failure.code), code);
  EXPECT_EQ(static_cast<int>(failure.domain), domain);
  EXPECT_EQ(failure.error.message, message);
}

Disk make_disk() {
  Disk disk;
  disk.target = "vda";
  disk.source = "/v/top.qcow2";
  disk.format = "qcow2";
  disk.bus = "virtio";
  return disk;
}

TEST(Checks, RefuseChangesOfAReadOnlyConnection) {
  expect_failure(check_writable(true, "virDomainBlockPull").error(), 29, 20,
                 "operation forbidden: read only access prevents virDomainBlockPull");
  EXPECT_TRUE(check_writable(false, "virDomainBlockPull").ok());
}

TEST(Checks, ShowOnlyTheUnknownFlags) {
  expect_failure(check_flags(0x41, 0x40, "qemuDomainBlockPull").error(), 8, 10,
                 "unsupported flags (0x1) in function qemuDomainBlockPull");
  EXPECT_TRUE(check_flags(0x40, 0x40, "qemuDomainBlockPull").ok());
}

TEST(Checks, RequireTheCopyFlagForCopyOptions) {
  for (const Flags flags :
       {flag::kRebaseShallow, flag::kRebaseReuseExt, flag::kRebaseCopyRaw, flag::kRebaseCopyDev}) {
    expect_failure(check_rebase_flags(flags, true).error(), 8, 20,
                   "use of flags requires a copy job");
  }
  expect_failure(check_rebase_flags(flag::kRebaseCopy, false).error(), 8, 20,
                 "base in virDomainBlockRebase must not be NULL");
  EXPECT_TRUE(check_rebase_flags(flag::kRebaseRelative, false).ok());
}

TEST(Checks, AcceptBandwidthsThatFitInBytes) {
  constexpr std::uint64_t kMost = 8796093022207;
  EXPECT_TRUE(check_bandwidth(kMost, false).ok());
  EXPECT_EQ(*to_bytes_per_second(kMost, false), kMost << 20U);
  expect_failure(check_bandwidth(kMost + 1, false).error(), 82, 10,
                 "numerical overflow: bandwidth must be less than 8796093022207");
  EXPECT_TRUE(check_bandwidth(kMost + 1, true).ok());
  EXPECT_EQ(*to_bytes_per_second(kMost + 1, true), kMost + 1);
  expect_failure(to_bytes_per_second(std::uint64_t{1} << 63U, true).error(), 1, 0,
                 "internal error: argument key 'speed' must not be negative");
}

TEST(Checks, RefuseDisksThatTakeNoJobs) {
  const auto refused = [](auto change, int code, const std::string& message) {
    Disk disk = make_disk();
    change(disk);
    auto result = check_disk_takes_jobs(disk);
    if (result.ok()) {
      result = check_disk_is_local_image(disk);
    }
    ASSERT_FALSE(result.ok()) << message;
    EXPECT_EQ(static_cast<int>(result.error().code), code);
    EXPECT_NE(result.error().error.message.find(message), std::string::npos)
        << result.error().error.message;
  };
  EXPECT_TRUE(check_disk_takes_jobs(make_disk()).ok());
  EXPECT_TRUE(check_disk_is_local_image(make_disk()).ok());
  refused([](Disk& disk) { disk.bus = "sd"; }, 84,
          "Operation not supported: block jobs are not supported on disk 'vda' using bus 'sd'");
  refused([](Disk& disk) { disk.transient = true; }, 84,
          "block jobs are not supported on transient disk 'vda'");
  refused([](Disk& disk) { disk.type = "vhostuser"; }, 84,
          "block jobs are not supported on vhostuser disk 'vda'");
  refused([](Disk& disk) { disk.source.clear(); }, 1,
          "internal error: argument key 'device' must not have null value");
  refused([](Disk& disk) { disk.type = "network"; }, 84, "is of type 'network'");
  refused([](Disk& disk) { disk.format.clear(); }, 67, "states no format");
}

TEST(Checks, FindADiskByTargetOrByPath) {
  Domain domain;
  domain.disks.push_back(make_disk());
  EXPECT_EQ(find_disk(domain, "vda")->source, "/v/top.qcow2");
  EXPECT_EQ(find_disk(domain, "/v/top.qcow2")->target, "vda");
  for (const char* name : {"", "vdb", "vda[1]", "/v/base.qcow2", "top.qcow2"}) {
    expect_failure(find_disk(domain, name).error(), 8, 10,
                   std::string("invalid argument: disk '") + name + "' not found in domain");
  }
}

TEST(BaseName, IsAnIndexOnlyAsTargetWithANumberInBrackets) {
  EXPECT_EQ(parse_base("vda[2]", make_disk())->index, 2U);
  for (const char* name : {"/v/base.qcow2", "base.qcow2", "vda[0]", "vda[]", "vda[2", "a[1].qcow2",
                           "vda[-1]", "vda[99999999999999999999]"}) {
    const auto base = parse_base(name, make_disk());
    ASSERT_TRUE(base.ok()) << name;
    EXPECT_EQ(base->index, std::nullopt) << name;
    EXPECT_EQ(base->name, name);
  }
  expect_failure(parse_base("vdb[1]", make_disk()).error(), 8, 18,
                 "invalid argument: requested target 'vdb' does not match target 'vda'");
}

TEST(BaseName, AMissingBaseIsReportedInLibvirtsWords) {
  expect_failure(no_such_base({"vda[7]", 7}, make_disk()), 8, 18,
                 "invalid argument: could not find backing store index '7' in chain for 'vda'");
  expect_failure(no_such_base({"x.qcow2", std::nullopt}, make_disk()), 8, 18,
                 "invalid argument: could not find image 'x.qcow2' beneath '/v/top.qcow2' in chain "
                 "for 'vda'");
}

TEST(BlockJobInfo, NeverShowsARunningJobAtItsEnd) {
  job::Progress progress;
  progress.settled = progress.total = 4096;
  EXPECT_EQ(embed::info_of(progress, 0)->cur, 4095U);
  EXPECT_EQ(embed::info_of(progress, 0)->end, 4096U);
  progress.settled = progress.total = 0;
  EXPECT_EQ(embed::info_of(progress, 0)->cur, 0U);
  EXPECT_EQ(embed::info_of(progress, 0)->end, 1U);
  progress.settled = 1;
  progress.total = 4096;
  EXPECT_EQ(embed::info_of(progress, 0)->cur, 1U);
}

TEST(BlockJobInfo, RoundsTheBandwidthUpToMebibytes) {
  job::Progress progress;
  progress.bandwidth = 5;
  EXPECT_EQ(embed::info_of(progress, 0)->bandwidth, 1U);
  EXPECT_EQ(embed::info_of(progress, flag::kJobInfoBandwidthBytes)->bandwidth, 5U);
  progress.bandwidth = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(embed::info_of(progress, 0)->bandwidth, 8796093022208U);
  progress.bandwidth = 0;
  EXPECT_EQ(embed::info_of(progress, 0)->bandwidth, 0U);
}

TEST(BlockJobInfo, ReportsWhatTheJobDoes) {
  const auto said = [](const job::Progress& progress) {
    return std::string(name_of(embed::info_of(progress, 0)->does));
  };
  job::Progress progress;
  EXPECT_EQ(said(progress), "running");
  progress.phase = job::Phase::kPaused;
  EXPECT_EQ(said(progress), "paused");
  progress.stopped_on = ErrorKind::kNoSpace;
  EXPECT_EQ(said(progress), "stopped");
  progress.stopped_on = std::nullopt;
  progress.phase = job::Phase::kPending;
  EXPECT_EQ(said(progress), "pending");
  progress.state = job::State::kAborting;
  EXPECT_EQ(said(progress), "aborting");
}

TEST(BlockJobInfo, OfAJobThatHasEndedIsAbsent) {
  job::Progress progress;
  progress.state = job::State::kCompleted;
  EXPECT_EQ(embed::info_of(progress, 0), std::nullopt);
}

}  // namespace
}  // namespace blockpull::virt
