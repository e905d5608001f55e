// SPDX-License-Identifier: Apache-2.0
//
// What stat reports of a file before and after somebody has changed it.

#include "core/io/file_state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/io/posix_file.h"
#include "files/temp_folder.h"

namespace blockpull::io {
namespace {

std::unique_ptr<PosixFile> open_noted(const std::string& path) {
  auto file = PosixFile::open(path, Access::kReadOnly);
  EXPECT_TRUE(file.ok());
  EXPECT_TRUE((*file)->note_state().ok());
  return std::move(file).value();
}

FileState state_now(const PosixFile& file) {
  const auto state = file.state();
  EXPECT_TRUE(state.ok());
  return state.ok() ? *state : FileState{};
}

TEST(FileState, AWriteRightAfterTheCheckShowsEvenOnAFreshFile) {
  const files::TempFolder folder;
  int unseen = 0;
  for (int round = 0; round < 20; ++round) {
    const std::string path = folder.write("a", "before");
    const auto file = open_noted(path);
    const int writer = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::pwrite(writer, "after!", 6, 0), 6);
    ::close(writer);
    unseen += state_now(*file).has_content_of(file->opened()) ? 1 : 0;
  }
  EXPECT_EQ(unseen, 0);
}

TEST(FileState, AnotherModeChangesNoContent) {
  const files::TempFolder folder;
  const auto file = open_noted(folder.write("a", "x"));
  ASSERT_EQ(::chmod((folder / "a").c_str(), 0600), 0);
  const FileState now = state_now(*file);
  EXPECT_TRUE(now.has_content_of(file->opened()));
  EXPECT_NE(now.changed_ns, file->opened().changed_ns);
}

TEST(FileState, ReadsAndStatsChangeNothing) {
  const files::TempFolder folder;
  const auto file = open_noted(folder.write("a", "abc"));
  std::vector<std::byte> bytes(3);
  ASSERT_TRUE(file->read_at(0, bytes).ok());
  const FileState now = state_now(*file);
  EXPECT_TRUE(now.has_content_of(file->opened()));
  EXPECT_EQ(now.changed_ns, file->opened().changed_ns);
  EXPECT_EQ(now.links, 1U);
}

}  // namespace
}  // namespace blockpull::io
