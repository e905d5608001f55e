// SPDX-License-Identifier: Apache-2.0
//
// What programs without locks do to the layers of an open chain, one at a time, and which of the
// two checks detects it.

#include "driver/plan/layer_watch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "files/sample_chain.h"
#include "files/temp_folder.h"

namespace blockpull::driver {
namespace {

using files::create_overlay;

class LayerWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("base", std::string(65536, 'b'));
    create_overlay(folder_ / "middle", 65536, "base", image::Format::kRaw);
    create_overlay(folder_ / "top", 65536, "middle", image::Format::kQcow2);
    image::ChainOptions options;
    options.lock_for_pull = true;
    auto chain = image::open_chain(folder_ / "top", options);
    ASSERT_TRUE(chain.ok()) << chain.error().message;
    chain_ = std::move(chain).value();
    // The raw base stays.
    watch_ = LayerWatch(chain_, 2);
    ASSERT_TRUE(watch_.check().ok());
  }

  /// Both checks must report this for that layer.
  void expect_changed(const std::string& name, const std::string& what) const {
    expect_content_kept(false);
    expect_refused(name, what);
  }

  void expect_refused(const std::string& name, const std::string& what) const {
    const auto checked = watch_.check();
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().kind, ErrorKind::kLocked);
    EXPECT_EQ(checked.error().path, folder_ / name);
    EXPECT_NE(checked.error().message.find(what), std::string::npos) << checked.error().message;
  }

  void expect_content_kept(bool kept) const { EXPECT_EQ(watch_.check_content().ok(), kept); }

  void write(const std::string& name, off_t offset) const {
    const int writer = ::open((folder_ / name).c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::pwrite(writer, "!", 1, offset), 1);
    ::close(writer);
  }

  const files::TempFolder folder_;
  image::Chain chain_;
  LayerWatch watch_;
};

TEST_F(LayerWatchTest, AByteInPlaceIsAChange) {
  write("base", 4096);
  expect_changed("base", "was last written at");
}

TEST_F(LayerWatchTest, AnotherLengthIsAChange) {
  ASSERT_EQ(::truncate((folder_ / "middle").c_str(), 100), 0);
  expect_changed("middle", "it has 100 bytes now");
}

TEST_F(LayerWatchTest, ARestoredLengthIsAChange) {
  ASSERT_EQ(::truncate((folder_ / "base").c_str(), 100), 0);
  ASSERT_EQ(::truncate((folder_ / "base").c_str(), 65536), 0);
  expect_changed("base", "was last written at");
}

TEST_F(LayerWatchTest, AReplacedFileIsRefusedEvenIfTheOpenOneIsWhole) {
  folder_.write("other", "x");
  ASSERT_EQ(::link((folder_ / "base").c_str(), (folder_ / "kept").c_str()), 0);
  ASSERT_EQ(::rename((folder_ / "other").c_str(), (folder_ / "base").c_str()), 0);
  expect_content_kept(true);
  expect_refused("base", "was replaced by another file");
}

TEST_F(LayerWatchTest, AFileThatWasRenamedIsRefused) {
  ASSERT_EQ(::rename((folder_ / "middle").c_str(), (folder_ / "away").c_str()), 0);
  expect_content_kept(true);
  expect_refused("middle", "can no longer be found by its name");
}

TEST_F(LayerWatchTest, AnotherModeIsReportedAndCostsNoCopies) {
  ASSERT_EQ(::chmod((folder_ / "base").c_str(), 0600), 0);
  expect_content_kept(true);
  expect_refused("base", "owner, mode, label or link count");
}

TEST_F(LayerWatchTest, AnotherLinkIsReported) {
  ASSERT_EQ(::link((folder_ / "middle").c_str(), (folder_ / "second").c_str()), 0);
  expect_content_kept(true);
  expect_refused("middle", "owner, mode, label or link count");
}

TEST_F(LayerWatchTest, ALayerThatDropsOutMayLoseItsLastName) {
  ASSERT_EQ(::unlink((folder_ / "middle").c_str()), 0);
  EXPECT_TRUE(watch_.check().ok());
}

TEST_F(LayerWatchTest, ALayerThatStaysMayNotLoseItsLastName) {
  ASSERT_EQ(::unlink((folder_ / "base").c_str()), 0);
  expect_refused("base", "can no longer be found by its name");
}

TEST_F(LayerWatchTest, WritesToTheActiveImageAreIgnored) {
  ASSERT_TRUE(chain_.layers.front().file->write_at(0, std::vector<std::byte>(1)).ok());
  EXPECT_TRUE(watch_.check().ok());
}

}  // namespace
}  // namespace blockpull::driver
