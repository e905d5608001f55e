// SPDX-License-Identifier: Apache-2.0
//
// A file appears complete or not at all, and never replaces another.

#include "core/io/new_file.h"

#include <array>

#include <gtest/gtest.h>

#include "files/temp_folder.h"

namespace blockpull::io {
namespace {

constexpr std::array<std::byte, 3> kContent = {std::byte{'n'}, std::byte{'e'}, std::byte{'w'}};

TEST(NewFile, TheNameAppearsWithTheWholeContent) {
  const files::TempFolder folder;
  auto file = NewFile::create(folder / "a");
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->file().write_at(0, kContent).ok());
  EXPECT_EQ(files::content_of(folder / "a"), "");
  ASSERT_TRUE(file->publish().ok());
  EXPECT_EQ(files::content_of(folder / "a"), "new");
  EXPECT_EQ(folder.count(), 1U);
}

TEST(NewFile, AnUnpublishedFileIsRemoved) {
  const files::TempFolder folder;
  {
    auto file = NewFile::create(folder / "a");
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(folder.count(), 1U);
  }
  EXPECT_EQ(folder.count(), 0U);
}

TEST(NewFile, AnExistingNameIsRefusedFromTheStart) {
  const files::TempFolder folder;
  folder.write("a", "old");
  const auto file = NewFile::create(folder / "a");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(file.error().path, folder / "a");
}

TEST(NewFile, ANameTakenByAnotherIsNotReplaced) {
  const files::TempFolder folder;
  {
    auto file = NewFile::create(folder / "a");
    ASSERT_TRUE(file.ok());
    folder.write("a", "theirs");
    const auto published = file->publish();
    ASSERT_FALSE(published.ok());
    EXPECT_EQ(published.error().kind, ErrorKind::kInvalidArgument);
  }
  EXPECT_EQ(files::content_of(folder / "a"), "theirs");
  EXPECT_EQ(folder.count(), 1U);
}

TEST(NewFile, AFolderThatIsMissingIsNotFound) {
  const files::TempFolder folder;
  const auto file = NewFile::create(folder / "none/a");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace blockpull::io
