// SPDX-License-Identifier: Apache-2.0
//
// How commands are written, and how their answers are read.

#include "core/qmp/commands.h"

#include <gtest/gtest.h>

namespace blockpull::qmp {
namespace {

TEST(CommandsTest, AStreamOfEverythingNamesNoBaseAndNoLimit) {
  BlockStream stream;
  stream.job_id = "id";
  stream.device = "#block1";
  const Command command = block_stream(stream);
  EXPECT_EQ(command.name, "block-stream");
  EXPECT_TRUE(command.changes_graph);
  EXPECT_EQ(Json::parse(command.arguments)->member("device").text(), "#block1");
  EXPECT_FALSE(Json::parse(command.arguments)->has("base-node"));
  EXPECT_FALSE(Json::parse(command.arguments)->has("backing-file"));
  EXPECT_FALSE(Json::parse(command.arguments)->has("speed"));
}

TEST(CommandsTest, AStreamIsDismissedByQemuAndFinalizedAsRequested) {
  for (const bool auto_finalize : {false, true}) {
    BlockStream stream;
    stream.base_node = "base";
    stream.backing_file = "a\"b\\c\n";
    stream.speed = UINT64_MAX;
    stream.auto_finalize = auto_finalize;
    const auto arguments = Json::parse(block_stream(stream).arguments);
    ASSERT_TRUE(arguments.ok());
    EXPECT_EQ(arguments->member("auto-dismiss").boolean(), true);
    EXPECT_EQ(arguments->member("auto-finalize").boolean(), auto_finalize);
    EXPECT_EQ(arguments->member("base-node").text(), "base");
    EXPECT_EQ(arguments->member("backing-file").text(), "a\"b\\c\n");
    EXPECT_EQ(arguments->member("speed").number(), UINT64_MAX);
  }
}

TEST(CommandsTest, AStreamStatesOnErrorOnlyIfItIsNotReport) {
  BlockStream stream;
  EXPECT_FALSE(Json::parse(block_stream(stream).arguments)->has("on-error"));
  stream.on_error = "stop";
  EXPECT_EQ(Json::parse(block_stream(stream).arguments)->member("on-error").text(), "stop");
  stream.on_error = "enospc";
  EXPECT_EQ(Json::parse(block_stream(stream).arguments)->member("on-error").text(), "enospc");
}

TEST(CommandsTest, AJobWaitsOnAnErrorOnlyWhileItIsPaused) {
  const auto stop_of = [](const char* members) {
    return read_block_jobs(*Json::parse(std::string("[{") + members + "}]")).at(0).stopped_on;
  };
  EXPECT_EQ(stop_of(R"("paused": true, "io-status": "nospace")"), ErrorKind::kNoSpace);
  EXPECT_EQ(stop_of(R"("paused": true, "io-status": "failed")"), ErrorKind::kIo);
  EXPECT_EQ(stop_of(R"("paused": true, "io-status": "ok")"), std::nullopt);
  EXPECT_EQ(stop_of(R"("paused": false, "io-status": "failed")"), std::nullopt);
  EXPECT_EQ(stop_of(R"("paused": true)"), std::nullopt);
}

TEST(CommandsTest, JobsAreNamedById) {
  for (const Command& command : {job_cancel("x"), job_finalize("x")}) {
    EXPECT_EQ(command.arguments, R"({"id":"x"})") << command.name;
  }
  EXPECT_EQ(block_job_resume("x").arguments, R"({"device":"x"})");
  const auto speed = Json::parse(block_job_set_speed("x", 0).arguments);
  EXPECT_EQ(speed->member("device").text(), "x");
  EXPECT_EQ(speed->member("speed").number(), 0U);
}

TEST(CommandsTest, EveryStatusIsKnownAndANewOneIsOther) {
  EXPECT_EQ(parse_job_status("created"), JobStatus::kCreated);
  EXPECT_EQ(parse_job_status("pending"), JobStatus::kPending);
  EXPECT_EQ(parse_job_status("concluded"), JobStatus::kConcluded);
  EXPECT_EQ(parse_job_status("null"), JobStatus::kNull);
  EXPECT_EQ(parse_job_status("undefined"), JobStatus::kOther);
  EXPECT_EQ(parse_job_status(""), JobStatus::kOther);
}

TEST(CommandsTest, AJobWithFewFieldsIsTakenToFinalizeItself) {
  const auto answer = Json::parse(R"([{}, {"device": "a", "type": "stream", "status": "running",
    "len": 18446744073709551615, "offset": -1, "speed": 7, "ready": true, "auto-finalize": false,
    "io-status": "nospace", "error": "Input/output error"}, 7])");
  ASSERT_TRUE(answer.ok());
  const auto jobs = read_block_jobs(*answer);
  ASSERT_EQ(jobs.size(), 3U);
  EXPECT_TRUE(jobs[0].auto_finalize);
  EXPECT_EQ(jobs[0].status, JobStatus::kOther);
  EXPECT_EQ(jobs[1].length, UINT64_MAX);
  EXPECT_EQ(jobs[1].offset, 0U);
  EXPECT_EQ(jobs[1].speed, 7U);
  EXPECT_FALSE(jobs[1].auto_finalize);
  EXPECT_EQ(jobs[1].error, "Input/output error");
  EXPECT_FALSE(jobs[2].error);
  EXPECT_TRUE(read_block_jobs(Json()).empty());
  EXPECT_EQ(find_job(jobs, jobs.at(0).id), jobs.data());
  EXPECT_EQ(find_job(jobs, "nobody's"), nullptr);
}

TEST(CommandsTest, OnlyAChangeOfStatusNamesAJob) {
  const auto data = Json::parse(R"({"id": "x", "status": "pending"})");
  EXPECT_EQ(changed_job({"JOB_STATUS_CHANGE", *data}), "x");
  EXPECT_FALSE(changed_job({"BLOCK_JOB_PENDING", *data}));
  EXPECT_FALSE(changed_job({"JOB_STATUS_CHANGE", Json()}));
}

}  // namespace
}  // namespace blockpull::qmp
