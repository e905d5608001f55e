// SPDX-License-Identifier: Apache-2.0
//
// The folder part of a path.

#include "core/io/folder.h"

#include <gtest/gtest.h>

#include "files/temp_folder.h"

namespace blockpull::io {
namespace {

TEST(Folder, AMissingFolderCannotBeSynced) {
  const files::TempFolder folder;
  const auto synced = sync_folder(folder / "missing/a");
  ASSERT_FALSE(synced.ok());
  EXPECT_EQ(synced.error().path, folder / "missing/");
}

TEST(Folder, ThePartOfAPathEndsInItsLastSlash) {
  EXPECT_EQ(folder_part("/srv/vm/a.qcow2"), "/srv/vm/");
  EXPECT_EQ(folder_part("vm/a.qcow2"), "vm/");
  EXPECT_EQ(folder_part("/a.qcow2"), "/");
  EXPECT_EQ(folder_part("a.qcow2"), "");
}

TEST(Folder, ItIsSyncedByTheNameOfAFileInIt) {
  const files::TempFolder folder;
  EXPECT_TRUE(sync_folder(folder / "a").ok());
  EXPECT_TRUE(sync_folder("a").ok());
}

}  // namespace
}  // namespace blockpull::io
