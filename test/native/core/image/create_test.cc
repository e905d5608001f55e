// SPDX-License-Identifier: Apache-2.0
//
// New images: which numbers fit, which do not, and that a refusal leaves nothing behind. test/pull
// shows end to end that QEMU accepts them.

#include "core/image/create.h"

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/image/qcow2/qcow2_image.h"
#include "files/sample_chain.h"
#include "files/temp_folder.h"

namespace blockpull::image {
namespace {

class Create : public testing::Test {
 protected:
  [[nodiscard]] CreateOptions options(std::uint64_t size) const {
    CreateOptions options;
    options.path = folder_ / "new";
    options.size = size;
    return options;
  }

  [[nodiscard]] Error refusal(const CreateOptions& options) const {
    auto created = create_image(options);
    EXPECT_FALSE(created.ok());
    EXPECT_EQ(files::content_of(options.path), "");
    return created.ok() ? Error{} : std::move(created).error();
  }

  const files::TempFolder folder_;
};

TEST_F(Create, EveryClusterSizeAndVersionCanBeOpenedAgain) {
  for (const std::uint32_t version : {2U, 3U}) {
    for (std::uint64_t cluster_size = 512; cluster_size <= 2 * 1024 * 1024; cluster_size *= 2) {
      CreateOptions wanted = options(10 * 1024 * 1024 + 512);
      wanted.path = folder_ / std::to_string(cluster_size + version);
      wanted.cluster_size = cluster_size;
      wanted.version = version;
      ASSERT_TRUE(create_image(wanted).ok());
      const Chain chain = files::open_sample(wanted.path);
      EXPECT_EQ(chain.active().virtual_size(), 10U * 1024 * 1024 + 512);
      EXPECT_EQ(chain.active().cluster_size(), cluster_size);
      EXPECT_EQ(chain.active_qcow2()->header().version, version);
      const auto extent = chain.active().status({0}, chain.active().virtual_size());
      EXPECT_EQ(extent->status, Status::kUnallocated);
      EXPECT_EQ(extent->length, chain.active().virtual_size());
    }
  }
}

TEST_F(Create, EveryClusterIsCountedOnceInItsRefcountBlocks) {
  // The largest L1 table that clusters of 512 bytes can have: 65536 clusters, 257 and more blocks.
  CreateOptions wanted = options(std::uint64_t{1} << 37U);
  wanted.cluster_size = 512;
  ASSERT_TRUE(create_image(wanted).ok());
  const Chain chain = files::open_sample(wanted.path);
  const qcow2::Header& header = chain.active_qcow2()->header();
  io::File& file = chain.active().file();
  const std::uint64_t clusters = *file.size() / 512;
  std::vector<std::byte> table(header.refcount_table_clusters * 512);
  ASSERT_TRUE(file.read_at(header.refcount_table_offset, table).ok());
  std::vector<std::byte> block(512);
  for (std::uint64_t index = 0; index < table.size() / 8; ++index) {
    const auto offset = be_at<std::uint64_t>(table, index * 8);
    ASSERT_EQ(offset != 0, index < divide_up(clusters, 256)) << index;
    if (offset == 0) {
      continue;
    }
    ASSERT_TRUE(file.read_at(offset, block).ok());
    for (std::uint64_t entry = 0; entry < 256; ++entry) {
      ASSERT_EQ(be_at<std::uint16_t>(block, entry * 2), index * 256 + entry < clusters ? 1 : 0);
    }
  }
}

TEST_F(Create, TheSizeIsRoundedUpToASector) {
  ASSERT_TRUE(create_image(options(1000)).ok());
  EXPECT_EQ(files::open_sample(folder_ / "new").active().virtual_size(), 1024U);
}

TEST_F(Create, AnOverlayTakesSizeAndFormatOfItsBackingFile) {
  folder_.write("base.raw", std::string(5000, 'b'));
  CreateOptions wanted = options(0);
  wanted.size.reset();
  wanted.backing_file = "base.raw";
  wanted.backing_format = Format::kRaw;
  ASSERT_TRUE(create_image(wanted).ok());
  const Chain chain = files::open_sample(wanted.path);
  ASSERT_EQ(chain.layers.size(), 2U);
  EXPECT_EQ(chain.active().virtual_size(), 5120U);
  EXPECT_EQ(chain.active().backing()->format, "raw");
  const qcow2::Header& header = chain.active_qcow2()->header();
  ASSERT_EQ(header.extensions.size(), 1U);
  EXPECT_EQ(header.extensions[0].offset, 112U);
  EXPECT_TRUE(header.has_end_marker);
}

TEST_F(Create, TheLongestNameThatFitsIsAccepted) {
  folder_.write("base.raw", std::string(5000, 'b'));
  CreateOptions wanted = options(512);
  wanted.cluster_size = 512;
  wanted.backing_format = Format::kRaw;
  const std::string tail = "base.raw";
  std::string name;
  while (name.size() + 2 + tail.size() <= 376) {
    name += "./";
  }
  wanted.backing_file = name + tail;
  ASSERT_EQ(wanted.backing_file->size(), 376U);
  ASSERT_TRUE(create_image(wanted).ok());
  EXPECT_EQ(files::open_sample(wanted.path).active().backing()->name, *wanted.backing_file);
  wanted.path = folder_ / "other";
  wanted.backing_file = "./" + *wanted.backing_file;
  EXPECT_NE(refusal(wanted).message.find("1 to 376"), std::string::npos);
}

TEST_F(Create, NumbersThatTheFormatCannotHoldAreRefused) {
  CreateOptions wanted = options(std::uint64_t{1} << 63U);
  EXPECT_EQ(refusal(wanted).kind, ErrorKind::kOverflow);
  wanted.size = ~std::uint64_t{0};
  EXPECT_EQ(refusal(wanted).kind, ErrorKind::kOverflow);
  wanted.size = (std::uint64_t{1} << 37U) + 1;
  wanted.cluster_size = 512;
  const Error error = refusal(wanted);
  EXPECT_EQ(error.kind, ErrorKind::kOverflow);
  EXPECT_NE(error.message.find("choose larger clusters"), std::string::npos);
  for (const std::uint64_t bad : {0U, 256U, 1000U, 4U * 1024 * 1024}) {
    wanted = options(512);
    wanted.cluster_size = bad;
    EXPECT_EQ(refusal(wanted).kind, ErrorKind::kInvalidArgument) << bad;
  }
  wanted = options(512);
  wanted.version = 1;
  EXPECT_EQ(refusal(wanted).kind, ErrorKind::kInvalidArgument);
}

TEST_F(Create, WithoutASizeThereMustBeABackingFile) {
  CreateOptions wanted = options(0);
  wanted.size.reset();
  EXPECT_NE(refusal(wanted).message.find("size of"), std::string::npos);
}

TEST_F(Create, ABackingFileMustBeThereAndItsFormatStated) {
  CreateOptions wanted = options(512);
  wanted.backing_file = "gone";
  EXPECT_EQ(refusal(wanted).kind, ErrorKind::kInvalidArgument);
  wanted.backing_format = Format::kRaw;
  EXPECT_EQ(refusal(wanted).kind, ErrorKind::kNotFound);
  folder_.write("gone", "no qcow2");
  wanted.backing_format = Format::kQcow2;
  EXPECT_EQ(refusal(wanted).kind, ErrorKind::kFormatUnknown);
  wanted.backing_file = "nbd://host";
  EXPECT_EQ(refusal(wanted).kind, ErrorKind::kPolicy);
}

TEST_F(Create, AnExistingFileIsLeftAlone) {
  folder_.write("new", "precious");
  const auto created = create_image(options(512));
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(files::content_of(folder_ / "new"), "precious");
}

TEST_F(Create, NothingButTheImageIsLeftInTheFolder) {
  ASSERT_TRUE(create_image(options(512)).ok());
  EXPECT_EQ(folder_.count(), 1U);
}

}  // namespace
}  // namespace blockpull::image
