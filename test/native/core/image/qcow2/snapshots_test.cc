// SPDX-License-Identifier: Apache-2.0
//
// The snapshot table's bounds, one after another.

#include "core/image/qcow2/snapshots.h"

#include <gtest/gtest.h>

#include "core/image/qcow2/sample_image.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::uint64_t kTable = 6;

/// One snapshot, sound: an L1 table of one cluster at cluster 7, 16 bytes of extra data, names of 3
/// bytes.
SampleImage with_snapshot() {
  SampleImage image(12);
  const std::uint64_t table = image.at(kTable);
  image.fill(table, image.cluster_size(), 0);
  image.set32(field::kSnapshotCount, 1);
  image.set64(field::kSnapshotsOffset, table);
  image.set64(table, image.at(7));
  image.set32(table + 8, 512);
  put_be_at<std::uint16_t>(image.bytes(), table + 12, 1);
  put_be_at<std::uint16_t>(image.bytes(), table + 14, 2);
  image.set32(table + 36, 16);
  return image;
}

std::string answer(const SampleImage& image) {
  const auto opened = image.open();
  if (opened.ok()) {
    return "accepted";
  }
  EXPECT_EQ(opened.error().kind, ErrorKind::kImageCorrupt);
  return opened.error().message;
}

void expect_named(const SampleImage& image, const char* names) {
  EXPECT_NE(answer(image).find(names), std::string::npos) << answer(image);
}

TEST(Snapshots, ASoundTableIsAccepted) {
  EXPECT_EQ(answer(with_snapshot()), "accepted");
}

TEST(Snapshots, TheSecondEntryIsFoundBehindTheFirstOnesNames) {
  SampleImage image = with_snapshot();
  image.set32(field::kSnapshotCount, 2);
  image.set32(image.at(kTable) + 64 + 36, 1025);
  expect_named(image, "entry 1 of 'sample.qcow2' has 1025 bytes of extra data");
}

TEST(Snapshots, AnL1TableThatIsUnalignedIsRefused) {
  SampleImage image = with_snapshot();
  image.set64(image.at(kTable), image.at(7) + 512);
  expect_named(image, "L1 table");
}

TEST(Snapshots, AnL1TableThatIsTooLargeOrOutsideTheFileIsRefused) {
  SampleImage large = with_snapshot();
  large.set32(large.at(kTable) + 8, 0x10000000);
  expect_named(large, "the limit is 33554432");
  SampleImage outside = with_snapshot();
  outside.set64(outside.at(kTable), 0xfffffffffffff000);
  expect_named(outside, "lie in the file");
}

TEST(Snapshots, TooMuchExtraDataIsRefused) {
  SampleImage image = with_snapshot();
  image.set32(image.at(kTable) + 36, 65536);
  expect_named(image, "65536 bytes of extra data");
}

TEST(Snapshots, ANameThatRunsPastTheFileIsRefused) {
  SampleImage image = with_snapshot();
  image.set64(field::kSnapshotsOffset, image.at(SampleImage::kClusters - 1));
  const std::uint64_t table = image.at(SampleImage::kClusters - 1);
  image.fill(table, image.cluster_size(), 0);
  put_be_at<std::uint16_t>(image.bytes(), table + 14, 0xffff);
  expect_named(image, "the file ends at");
}

TEST(Snapshots, ATooLargeCountIsRefusedAtTheEndOfTheFile) {
  SampleImage image = with_snapshot();
  image.set32(field::kSnapshotCount, 65536);
  image.fill(image.at(kTable), image.at(SampleImage::kClusters) - image.at(kTable), 0);
  expect_named(image, "the file ends at");
}

}  // namespace
}  // namespace blockpull::image::qcow2
