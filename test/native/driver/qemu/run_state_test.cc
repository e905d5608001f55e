// SPDX-License-Identifier: Apache-2.0
//
// The states of QEMU in which it may write to a guest's images.

#include "driver/qemu/run_state.h"

#include <vector>

#include <gtest/gtest.h>

namespace blockpull::driver::qemu {
namespace {

struct State {
  const char* name;
  bool may_write;
};

/// RunState of QEMU 3.1 to 10.1.
const std::vector<State> kStatuses{{"", true},
                                   {"debug", true},
                                   {"inmigrate", false},
                                   {"internal-error", false},
                                   {"io-error", true},
                                   {"paused", true},
                                   {"postmigrate", false},
                                   {"prelaunch", true},
                                   {"preconfig", false},
                                   {"finish-migrate", false},
                                   {"restore-vm", false},
                                   {"running", true},
                                   {"save-vm", false},
                                   {"shutdown", true},
                                   {"suspended", true},
                                   {"watchdog", true},
                                   {"guest-panicked", true},
                                   {"colo", false},
                                   {"of-the-future", false}};

struct Migration {
  const char* name;
  bool may_write;
  /// Even if the guest is said to run.
  bool is_inactive = false;
};

/// MigrationStatus of the same versions.
const std::vector<Migration> kMigrations{{"", true},
                                         {"none", true},
                                         {"setup", false},
                                         {"cancelling", false},
                                         {"cancelled", true},
                                         {"active", false},
                                         {"postcopy-device", false},
                                         {"postcopy-active", false, true},
                                         {"postcopy-paused", false, true},
                                         {"postcopy-recover-setup", false},
                                         {"postcopy-recover", false, true},
                                         {"completed", true},
                                         {"failed", true},
                                         {"colo", false},
                                         {"pre-switchover", false, true},
                                         {"device", false, true},
                                         {"wait-unplug", false},
                                         {"of-the-future", false}};

qmp::Json answer(const std::string& text) {
  auto json = qmp::Json::parse(text);
  EXPECT_TRUE(json.ok()) << text;
  return json.ok() ? std::move(json).value() : qmp::Json();
}

RunState state_of(const std::string& status, const std::string& migration) {
  return read_run_state(answer(R"({"status": ")" + status + "\"}"),
                        answer(R"({"status": ")" + migration + "\"}"));
}

TEST(RunStateTest, EveryStatusSaysWhetherQemuMayWrite) {
  for (const State& state : kStatuses) {
    const RunState read = state_of(state.name, "none");
    EXPECT_EQ(is_inactive(read), !state.may_write) << state.name;
    EXPECT_FALSE(is_migrating(read)) << state.name;
    const auto may = check_may_write(read);
    ASSERT_EQ(may.ok(), state.may_write) << state.name;
    if (!may.ok()) {
      EXPECT_EQ(may.error().kind, ErrorKind::kGuestBusy);
      EXPECT_NE(may.error().message.find(std::string("'") + state.name + "'"), std::string::npos);
    }
  }
}

TEST(RunStateTest, EveryMigrationSaysWhetherAJobMayBeBegun) {
  for (const Migration& migration : kMigrations) {
    const RunState read = state_of("running", migration.name);
    EXPECT_EQ(is_migrating(read), !migration.may_write) << migration.name;
    EXPECT_EQ(is_inactive(read), migration.is_inactive) << migration.name;
    const auto may = check_may_write(read);
    ASSERT_EQ(may.ok(), migration.may_write) << migration.name;
    if (!may.ok()) {
      EXPECT_EQ(may.error().kind, ErrorKind::kGuestBusy);
      EXPECT_NE(may.error().message.find(std::string("'") + migration.name + "'"),
                std::string::npos);
    }
  }
}

TEST(RunStateTest, AnAbsentGuestIsAbsentWhateverItsMigrationSays) {
  for (const Migration& migration : kMigrations) {
    EXPECT_FALSE(check_may_write(state_of("postmigrate", migration.name)).ok()) << migration.name;
    EXPECT_TRUE(is_inactive(state_of("postmigrate", migration.name))) << migration.name;
  }
}

TEST(RunStateTest, AQemuThatOffersNeitherMayWrite) {
  const RunState none = read_run_state(qmp::Json(), qmp::Json());
  EXPECT_EQ(none, RunState());
  EXPECT_TRUE(check_may_write(none).ok());
  EXPECT_FALSE(is_inactive(none));
}

TEST(RunStateTest, NoMigrationHasNoNumbers) {
  for (const char* const text : {"{}", R"({"status": "none"})"}) {
    const RunState read = read_run_state(answer(R"({"status": "running"})"), answer(text));
    EXPECT_EQ(read.migration, "");
    EXPECT_EQ(read.migration_mark, "");
  }
}

/// Whether two answers may be about the same migration.
TEST(RunStateTest, AnotherMigrationHasOtherNumbers) {
  const auto mark = [](const std::string& members) {
    return read_run_state(qmp::Json(), answer(R"({"status": "completed")" + members + "}"))
        .migration_mark;
  };
  const std::string one = mark(R"(, "total-time": 5, "downtime": 2, "setup-time": 1,
    "ram": {"transferred": 10, "normal": 3, "duplicate": 4, "dirty-sync-count": 2})");
  EXPECT_EQ(one, mark(R"(, "ram": {"dirty-sync-count": 2, "duplicate": 4, "normal": 3,
    "transferred": 10}, "setup-time": 1, "downtime": 2, "total-time": 5, "blocktime": 7)"));
  for (const char* const other : {R"(, "total-time": 6, "downtime": 2, "setup-time": 1,
           "ram": {"transferred": 10, "normal": 3, "duplicate": 4, "dirty-sync-count": 2})",
                                  R"(, "total-time": 5, "downtime": 3, "setup-time": 1,
           "ram": {"transferred": 10, "normal": 3, "duplicate": 4, "dirty-sync-count": 2})",
                                  R"(, "total-time": 5, "downtime": 2, "setup-time": 0,
           "ram": {"transferred": 10, "normal": 3, "duplicate": 4, "dirty-sync-count": 2})",
                                  R"(, "total-time": 5, "downtime": 2, "setup-time": 1,
           "ram": {"transferred": 11, "normal": 3, "duplicate": 4, "dirty-sync-count": 2})",
                                  R"(, "total-time": 5, "downtime": 2, "setup-time": 1,
           "ram": {"transferred": 10, "normal": 9, "duplicate": 4, "dirty-sync-count": 2})",
                                  R"(, "total-time": 5, "downtime": 2, "setup-time": 1,
           "ram": {"transferred": 10, "normal": 3, "duplicate": 5, "dirty-sync-count": 2})",
                                  R"(, "total-time": 5, "downtime": 2, "setup-time": 1,
           "ram": {"transferred": 10, "normal": 3, "duplicate": 4, "dirty-sync-count": 3})",
                                  ""}) {
    EXPECT_NE(one, mark(other)) << other;
  }
}

}  // namespace
}  // namespace blockpull::driver::qemu
