// SPDX-License-Identifier: Apache-2.0
//
// Who owns the bytes behind an image, one kind at a time.

#include "core/image/qcow2/trailing_bytes.h"

#include <string_view>

#include <gtest/gtest.h>
#include <libdeflate.h>

#include "core/base/bytes.h"
#include "faults/image_recipe.h"
#include "faults/recording_file.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::uint64_t kCluster = 4096;

/// An image of three data clusters with `trailing` behind it, and who owns that.
class TrailingBytes : public testing::Test {
 protected:
  TrailingOwner owner_of(std::span<const std::byte> trailing) {
    faults::ImageRecipe recipe;
    recipe.cluster_bits = 12;
    recipe.virtual_size = 64 * kCluster;
    recipe.data_clusters = {1, 2, 9};
    faults::Content content = faults::build_image(recipe);
    image_end_ = content.size();
    content.write(image_end_, trailing);
    auto image = Qcow2Image::open(std::make_unique<faults::RecordingFile>(
        std::make_shared<faults::RecordedDisk>(std::move(content))));
    EXPECT_TRUE(image.ok());
    const auto references = find_references(**image, [] { return true; });
    EXPECT_TRUE(references.ok());
    auto use = end_of_use(**image, *references);
    EXPECT_TRUE(use.ok());
    EXPECT_EQ(use->offset, image_end_);
    EXPECT_FALSE(use->has_compressed);
    use->has_compressed = has_compressed_;
    const auto owner = owner_of_trailing(**image, *use);
    EXPECT_TRUE(owner.ok());
    return owner.ok() ? *owner : TrailingOwner::kNothing;
  }

  TrailingOwner owner_of(std::string_view text) { return owner_of(std::as_bytes(std::span(text))); }

  std::uint64_t image_end_ = 0;
  /// Whether the image, which has no compressed clusters, is said to have some.
  bool has_compressed_ = false;
};

TEST_F(TrailingBytes, AnEmptyTailAndZerosBelongToNobody) {
  EXPECT_EQ(owner_of(std::string_view()), TrailingOwner::kNothing);
  EXPECT_EQ(owner_of(std::vector<std::byte>(5000)), TrailingOwner::kNothing);
}

TEST_F(TrailingBytes, TextIsForeignToTheByte) {
  EXPECT_EQ(owner_of("}"), TrailingOwner::kForeign);
  EXPECT_EQ(owner_of(std::string(kCluster + 1, 'x')), TrailingOwner::kForeign);
}

TEST_F(TrailingBytes, WholeClustersWithoutAKnownMagicAreALeftover) {
  std::string clusters(2 * kCluster, 'x');
  EXPECT_EQ(owner_of(clusters), TrailingOwner::kLeftover);
  clusters.replace(clusters.size() - 16, 8, "GONDCPT1");
  EXPECT_EQ(owner_of(clusters), TrailingOwner::kForeign);
}

TEST_F(TrailingBytes, ATableOfClustersAtTheEndIsALeftover) {
  std::vector<std::byte> table(24);
  put_be_at<std::uint64_t>(table, 0, (5 * kCluster) | kCopied);
  put_be_at<std::uint64_t>(table, 16, 1);
  EXPECT_EQ(owner_of(table), TrailingOwner::kLeftover);
  put_be_at<std::uint64_t>(table, 8, 5 * kCluster + 512);
  EXPECT_EQ(owner_of(table), TrailingOwner::kForeign);
}

TEST_F(TrailingBytes, OnlyAWholeBitmapDirectoryIsALeftover) {
  std::vector<std::byte> directory(32);
  put_be_at<std::uint64_t>(directory, 0, 7 * kCluster);
  put_be_at<std::uint32_t>(directory, 8, 1);
  put_be_at<std::uint32_t>(directory, 12, 2);
  directory[16] = std::byte{1};
  directory[17] = std::byte{16};
  put_be_at<std::uint16_t>(directory, 18, 5);
  std::copy_n(std::as_bytes(std::span("named", 5)).begin(), 5, directory.begin() + 24);
  EXPECT_EQ(owner_of(directory), TrailingOwner::kLeftover);
  put_be_at<std::uint16_t>(directory, 18, 500);
  EXPECT_EQ(owner_of(directory), TrailingOwner::kForeign);
}

TEST_F(TrailingBytes, ASnapshotTableAtTheEndIsALeftover) {
  std::vector<std::byte> table(40 + 24 + 4);
  put_be_at<std::uint64_t>(table, 0, 6 * kCluster);
  put_be_at<std::uint32_t>(table, 8, 1);
  put_be_at<std::uint16_t>(table, 12, 1);
  put_be_at<std::uint16_t>(table, 14, 3);
  put_be_at<std::uint32_t>(table, 36, 24);
  std::fill_n(table.begin() + 64, 4, std::byte{'a'});
  EXPECT_EQ(owner_of(table), TrailingOwner::kLeftover);
  table.push_back(std::byte{98});
  EXPECT_EQ(owner_of(table), TrailingOwner::kForeign);
}

std::vector<std::byte> stream_of(std::byte fill) {
  const std::vector<std::byte> cluster(kCluster, fill);
  std::vector<std::byte> stream(kCluster);
  libdeflate_compressor* const compressor = libdeflate_alloc_compressor(6);
  stream.resize(libdeflate_deflate_compress(compressor, cluster.data(), cluster.size(),
                                            stream.data(), stream.size()));
  libdeflate_free_compressor(compressor);
  return stream;
}

TEST_F(TrailingBytes, CompressedClustersThatNothingRefersToAreALeftover) {
  std::vector<std::byte> streams = stream_of(std::byte{1});
  const std::vector<std::byte> second = stream_of(std::byte{2});
  streams.insert(streams.end(), second.begin(), second.end());
  EXPECT_EQ(owner_of(streams), TrailingOwner::kForeign) << "in an image that has none";
  has_compressed_ = true;
  EXPECT_EQ(owner_of(streams), TrailingOwner::kLeftover);
  streams.resize(streams.size() + 100);
  EXPECT_EQ(owner_of(streams), TrailingOwner::kLeftover) << "with zeros behind them";
  streams.back() = std::byte{'}'};
  EXPECT_EQ(owner_of(streams), TrailingOwner::kForeign) << "with something behind them";
  streams.resize(second.size() - 1);
  EXPECT_EQ(owner_of(streams), TrailingOwner::kForeign) << "cut off";
}

TEST_F(TrailingBytes, CompressedClustersMayBeginWithALaterCluster) {
  const std::vector<std::byte> stream = stream_of(std::byte{1});
  std::vector<std::byte> bytes(2 * kCluster, std::byte{'x'});
  while (bytes.size() <= 3 * kCluster) {
    bytes.insert(bytes.end(), stream.begin(), stream.end());
  }
  ASSERT_NE(bytes.size() % kCluster, 0U);
  has_compressed_ = true;
  EXPECT_EQ(owner_of(bytes), TrailingOwner::kLeftover);
  put_be_at<std::uint32_t>(bytes, 0, kMagic);
  EXPECT_EQ(owner_of(bytes), TrailingOwner::kForeign) << "of another image";
  bytes[0] = bytes[2 * kCluster] = std::byte{0xff};
  EXPECT_EQ(owner_of(bytes), TrailingOwner::kForeign);
}

TEST_F(TrailingBytes, ZerosBehindForeignBytesLeaveThemForeign) {
  std::vector<std::byte> bytes(kCluster + 100);
  bytes.front() = std::byte{'{'};
  EXPECT_EQ(owner_of(bytes), TrailingOwner::kForeign);
}

}  // namespace
}  // namespace blockpull::image::qcow2
