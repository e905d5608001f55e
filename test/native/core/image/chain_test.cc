// SPDX-License-Identifier: Apache-2.0
//
// Opening chains: formats that are stated and never guessed, names that lead nowhere or in a
// circle, folders that are not allowed, and locks.

#include "core/image/chain.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/qcow2/qcow2_image.h"
#include "files/sample_chain.h"
#include "files/temp_folder.h"

namespace blockpull::image {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

class ChainTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("base.raw", std::string(kMiB, 'b'));
    files::create_overlay(folder_ / "middle", kMiB, "base.raw", Format::kRaw);
    files::create_overlay(folder_ / "top", kMiB, "middle", Format::kQcow2);
  }

  /// Puts `name` and `format` into the header of "top", replacing what it states.
  void restate(const std::string& name, const std::string& format) const {
    auto file = io::PosixFile::open(folder_ / "top", io::Access::kReadWrite);
    ASSERT_TRUE(file.ok());
    // The present extension has 8 bytes of room; without a format it becomes one of unknown type.
    std::vector<std::byte> head(8);
    put_be_at<std::uint32_t>(head, 0, format.empty() ? 0x11111111 : 0xe2792aca);
    put_be_at<std::uint32_t>(head, 4,
                             format.empty() ? 8 : static_cast<std::uint32_t>(format.size()));
    ASSERT_TRUE((*file)->write_at(112, head).ok());
    ASSERT_TRUE((*file)->write_at(120, std::as_bytes(std::span(format))).ok());
    put_be_at<std::uint32_t>(head, 0, static_cast<std::uint32_t>(name.size()));
    ASSERT_TRUE((*file)->write_at(16, std::span(head).first(4)).ok());
    ASSERT_TRUE((*file)->write_at(136, std::as_bytes(std::span(name))).ok());
  }

  [[nodiscard]] Error refusal(const ChainOptions& options = {}) const {
    auto chain = open_chain(folder_ / "top", options);
    EXPECT_FALSE(chain.ok());
    return chain.ok() ? Error{} : std::move(chain).error();
  }

  const files::TempFolder folder_;
};

TEST_F(ChainTest, IsOpenedFromTheTopDown) {
  const auto chain = open_chain(folder_ / "top", {});
  ASSERT_TRUE(chain.ok());
  ASSERT_EQ(chain->layers.size(), 3U);
  EXPECT_EQ(chain->layers[0].path, folder_ / "top");
  EXPECT_EQ(chain->layers[1].path, folder_ / "middle");
  EXPECT_EQ(chain->layers[2].path, folder_ / "base.raw");
  EXPECT_EQ(chain->layers[2].image->format(), Format::kRaw);
  EXPECT_EQ(chain->layers[1].image->backing()->name, "base.raw");
  ASSERT_NE(chain->active_qcow2(), nullptr);
  EXPECT_EQ(chain->active_qcow2()->header().version, 3U);
}

TEST_F(ChainTest, ARawTopIsOpenedOnlyWhenItIsCalledRaw) {
  const auto unnamed = open_chain(folder_ / "base.raw", {});
  ASSERT_FALSE(unnamed.ok());
  EXPECT_EQ(unnamed.error().kind, ErrorKind::kFormatUnknown);
  ChainOptions options;
  options.format = Format::kRaw;
  const auto named = open_chain(folder_ / "base.raw", options);
  ASSERT_TRUE(named.ok());
  EXPECT_EQ(named->active_qcow2(), nullptr);
}

TEST_F(ChainTest, AFileOfAnotherFormatThanStatedIsRefused) {
  ChainOptions options;
  options.format = Format::kQcow2;
  const auto chain = open_chain(folder_ / "base.raw", options);
  ASSERT_FALSE(chain.ok());
  EXPECT_EQ(chain.error().kind, ErrorKind::kFormatUnknown);
}

TEST_F(ChainTest, ALayerCalledRawIsRawWhateverItContains) {
  restate("middle", "raw");
  const auto chain = open_chain(folder_ / "top", {});
  ASSERT_TRUE(chain.ok());
  ASSERT_EQ(chain->layers.size(), 2U);
  EXPECT_EQ(chain->layers[1].image->format(), Format::kRaw);
}

TEST_F(ChainTest, AMissingBackingFormatIsRefusedAndNotGuessed) {
  restate("middle", "");
  const Error error = refusal();
  EXPECT_EQ(error.kind, ErrorKind::kFormatUnknown);
  EXPECT_NE(error.message.find("states no format"), std::string::npos) << error.message;
  EXPECT_EQ(error.path, folder_ / "middle");
  ChainOptions options;
  options.formats.for_one_layer = Format::kQcow2;
  EXPECT_EQ(open_chain(folder_ / "top", options)->layers.size(), 3U);
}

TEST_F(ChainTest, TheFormatInAHeaderOverridesEveryOther) {
  restate("middle", "raw");
  ChainOptions options;
  options.formats.by_caller = {{folder_ / "middle", "qcow2"}};
  options.formats.by_domain = {{folder_ / "middle", "qcow2"}};
  options.formats.for_one_layer = Format::kQcow2;
  const auto chain = open_chain(folder_ / "top", options);
  ASSERT_TRUE(chain.ok());
  ASSERT_EQ(chain->layers.size(), 2U);
  EXPECT_EQ(chain->layers[1].image->format(), Format::kRaw);
}

TEST_F(ChainTest, AnUnsupportedFormatIsRefusedByName) {
  restate("middle", "vmdk");
  const Error error = refusal();
  EXPECT_EQ(error.kind, ErrorKind::kFeatureUnsupported);
  EXPECT_NE(error.message.find("'vmdk' is not supported"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find(folder_ / "top"), std::string::npos) << error.message;
}

TEST_F(ChainTest, QedIsRefusedByNameAtTheTopAndBelow) {
  const std::string path =
      folder_.write("old.qed", std::string("QED\0", 4) + std::string(508, 'x'));
  const auto top = open_chain(path, {});
  ASSERT_FALSE(top.ok());
  EXPECT_EQ(top.error().kind, ErrorKind::kFeatureUnsupported);
  restate("old.qed", "qed");
  EXPECT_NE(refusal().message.find("'qed' is not supported"), std::string::npos);
  restate("old.qed", "qcow2");
  EXPECT_NE(refusal().message.find("QED format, which is not supported"), std::string::npos);
}

TEST_F(ChainTest, AMissingBackingFileIsReportedWithItsOverlay) {
  restate("gone", "qcow2");
  const Error error = refusal();
  EXPECT_EQ(error.kind, ErrorKind::kNotFound);
  EXPECT_EQ(error.path, folder_ / "gone");
  EXPECT_NE(error.message.find(text("backing file '", folder_ / "gone", "' of '", folder_ / "top")),
            std::string::npos)
      << error.message;
}

TEST_F(ChainTest, FoldersAndFifosAreRefused) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir((folder_ / "dir").c_str(), 0700), 0);
  for (const char* const name : {"fifo", "dir", "/dev/zero"}) {
    restate(name, "raw");
    EXPECT_EQ(refusal().kind, ErrorKind::kUnsupported) << name;
  }
}

TEST_F(ChainTest, ProtocolsAreRefused) {
  restate("nbd://host", "raw");
  EXPECT_EQ(refusal().kind, ErrorKind::kPolicy);
}

TEST_F(ChainTest, LoopsAreFoundUnderEveryName) {
  ASSERT_EQ(::symlink("top", (folder_ / "link").c_str()), 0);
  ASSERT_EQ(::link((folder_ / "top").c_str(), (folder_ / "twin").c_str()), 0);
  for (const std::string& name : {std::string("top"), std::string("./top"), folder_ / "top",
                                  std::string("link"), std::string("twin")}) {
    restate(name, "qcow2");
    const Error error = refusal();
    EXPECT_EQ(error.kind, ErrorKind::kChainLoop) << name;
    EXPECT_NE(error.message.find("loop"), std::string::npos);
  }
}

TEST_F(ChainTest, ALinkThatLeadsToItselfIsAnError) {
  ASSERT_EQ(::symlink("self", (folder_ / "self").c_str()), 0);
  restate("self", "qcow2");
  EXPECT_EQ(refusal().kind, ErrorKind::kIo);
}

TEST_F(ChainTest, OpensTwoHundredLayersAndRefusesTooMany) {
  for (std::size_t i = 0; i < limits::kChainDepth; ++i) {
    CreateOptions options;
    options.path = folder_ / text("layer", i);
    options.size = 4096;
    options.cluster_size = 512;
    // Created without checking the layer below, which makes this test quick.
    files::create_qcow2(options);
    auto file = io::PosixFile::open(options.path, io::Access::kReadWrite);
    ASSERT_TRUE(file.ok());
    const std::string name = i == 0 ? "base.raw" : text("layer", i - 1);
    const std::string format = i == 0 ? "raw" : "qcow2";
    std::vector<std::byte> word(8);
    put_be_at<std::uint64_t>(word, 0, 136);
    ASSERT_TRUE((*file)->write_at(8, word).ok());
    put_be_at<std::uint32_t>(word, 0, static_cast<std::uint32_t>(name.size()));
    ASSERT_TRUE((*file)->write_at(16, std::span(word).first(4)).ok());
    put_be_at<std::uint32_t>(word, 0, 0xe2792aca);
    put_be_at<std::uint32_t>(word, 4, static_cast<std::uint32_t>(format.size()));
    ASSERT_TRUE((*file)->write_at(112, word).ok());
    ASSERT_TRUE((*file)->write_at(120, std::as_bytes(std::span(format))).ok());
    ASSERT_TRUE((*file)->write_at(136, std::as_bytes(std::span(name))).ok());
  }
  EXPECT_EQ(open_chain(folder_ / "layer199", {})->layers.size(), 201U);
  const auto longest = open_chain(folder_ / text("layer", limits::kChainDepth - 2), {});
  ASSERT_TRUE(longest.ok());
  EXPECT_EQ(longest->layers.size(), limits::kChainDepth);
  const auto too_long = open_chain(folder_ / text("layer", limits::kChainDepth - 1), {});
  ASSERT_FALSE(too_long.ok());
  EXPECT_EQ(too_long.error().kind, ErrorKind::kUnsupported);
}

TEST_F(ChainTest, BackingFilesMustLieInTheFoldersAllowed) {
  ChainOptions options;
  options.backing_paths = {folder_.path()};
  EXPECT_TRUE(open_chain(folder_ / "top", options).ok());
  ASSERT_EQ(::mkdir((folder_ / "other").c_str(), 0700), 0);
  options.backing_paths = {folder_ / "other"};
  EXPECT_EQ(refusal(options).kind, ErrorKind::kPolicy);
  options.backing_paths = std::vector<std::string>();
  EXPECT_EQ(refusal(options).kind, ErrorKind::kPolicy);
}

TEST_F(ChainTest, LocksExcludeASecondPullButNotAnotherOverlay) {
  files::create_overlay(folder_ / "sibling", kMiB, "middle", Format::kQcow2);
  ChainOptions options;
  options.lock_for_pull = true;
  const auto first = open_chain(folder_ / "top", options);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(refusal(options).kind, ErrorKind::kLocked);
  EXPECT_TRUE(open_chain(folder_ / "sibling", options).ok());
  EXPECT_TRUE(open_chain(folder_ / "top", {}).ok());
  const auto base_as_top = open_chain(folder_ / "middle", options);
  ASSERT_FALSE(base_as_top.ok());
  EXPECT_EQ(base_as_top.error().kind, ErrorKind::kLocked);
}

TEST_F(ChainTest, CollectsThePullsRefusalsAndStillOpensTheChain) {
  std::vector<Error> refusals;
  ChainOptions asking;
  asking.pull_refusals = &refusals;
  EXPECT_TRUE(open_chain(folder_ / "top", asking).ok());
  EXPECT_TRUE(refusals.empty());
  ChainOptions locking;
  locking.lock_for_pull = true;
  const auto pulled = open_chain(folder_ / "middle", locking);
  ASSERT_TRUE(pulled.ok());
  EXPECT_TRUE(open_chain(folder_ / "top", asking).ok());
  ASSERT_EQ(refusals.size(), 1U);
  EXPECT_EQ(refusals[0].message, refusal(locking).message);
  refusals.clear();
  EXPECT_TRUE(open_chain(folder_ / "middle", asking).ok());
  EXPECT_EQ(refusals.size(), 1U);
}

TEST_F(ChainTest, OpeningForAPullWritesNothing) {
  const std::string before = files::content_of(folder_ / "top");
  ChainOptions options;
  options.lock_for_pull = true;
  ASSERT_TRUE(open_chain(folder_ / "top", options).ok());
  EXPECT_EQ(files::content_of(folder_ / "top"), before);
}

}  // namespace
}  // namespace blockpull::image
