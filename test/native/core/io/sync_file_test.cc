// SPDX-License-Identifier: Apache-2.0
//
// A file that others write is synced only if its name still leads to it.

#include "core/io/sync_file.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "files/temp_folder.h"

namespace blockpull::io {
namespace {

TEST(SyncFileTest, SyncsTheFileThatWasSeenAndNoOther) {
  const files::TempFolder folder;
  folder.write("image", "bytes");
  folder.write("other", "bytes");
  const auto id = identify(folder / "image");
  ASSERT_TRUE(id.ok());
  const auto synced = sync_file(folder / "image", *id);
  ASSERT_TRUE(synced.ok());
  EXPECT_TRUE(*synced);
  std::filesystem::rename(folder / "other", folder / "image");
  const auto replaced = sync_file(folder / "image", *id);
  ASSERT_TRUE(replaced.ok());
  EXPECT_FALSE(*replaced);
  std::filesystem::remove(folder / "image");
  const auto gone = sync_file(folder / "image", *id);
  ASSERT_TRUE(gone.ok());
  EXPECT_FALSE(*gone);
}

}  // namespace
}  // namespace blockpull::io
