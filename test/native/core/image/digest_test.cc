// SPDX-License-Identifier: Apache-2.0
//
// A digest covers the bytes that the guest reads, including zeros.

#include "core/image/digest.h"

#include <gtest/gtest.h>

#include "core/image/chain_walk.h"
#include "files/sample_chain.h"
#include "files/temp_folder.h"

namespace blockpull::image {
namespace {

constexpr std::uint64_t kCluster = 65536;

Result<Digest> digest_guest(const Chain& chain) {
  GuestDigest digest(chain);
  for (;;) {
    BLOCKPULL_TRY(goes_on, digest.step(kCluster));
    if (!goes_on) {
      return digest.finish();
    }
  }
}

TEST(Digest, CoversTheGuestsBytes) {
  const files::TempFolder folder;
  folder.write("base.raw", std::string(3 * kCluster + 700, 'b'));
  files::create_overlay(folder / "top", 100 * kCluster + 512, "base.raw", Format::kRaw);
  files::write_cluster(folder / "top", 1, 't');
  files::write_cluster(folder / "top", 70, 'u');
  files::set_l2_entry(folder / "top", 2, qcow2::kZero);
  const Chain chain = files::open_sample(folder / "top");
  std::vector<std::byte> bytes(chain.active().virtual_size());
  ASSERT_TRUE(ChainWalk(chain).read({0}, bytes).ok());
  Sha256 hash;
  hash.update(bytes);
  const auto digest = digest_guest(chain);
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(digest->bytes, 100 * kCluster + 512);
  EXPECT_EQ(digest->sha256, hash.finish());
}

TEST(Digest, OfAnEmptyDiskIsThatOfNothing) {
  const files::TempFolder folder;
  CreateOptions options;
  options.path = folder / "empty";
  options.size = 0;
  files::create_qcow2(options);
  const auto digest = digest_guest(files::open_sample(options.path));
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(digest->bytes, 0U);
  EXPECT_EQ(digest->sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Digest, DamageIsAnErrorAndNotADigest) {
  const files::TempFolder folder;
  CreateOptions options;
  options.path = folder / "bad";
  options.size = 10 * kCluster;
  files::create_qcow2(options);
  files::set_l2_entry(options.path, 3, 0x42a00);
  EXPECT_FALSE(digest_guest(files::open_sample(options.path)).ok());
}

}  // namespace
}  // namespace blockpull::image
