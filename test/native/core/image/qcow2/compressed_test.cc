// SPDX-License-Identifier: Apache-2.0
//
// Streams that fill a cluster, with junk behind them, and every way in which a stream can fail to.

#include "core/image/qcow2/compressed.h"

#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <libdeflate.h>
#include <zstd.h>

#include "files/test_seed.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::size_t kCluster = 65536;

using Bytes = std::vector<std::byte>;

Bytes content(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>(i / 100);
  }
  return bytes;
}

Bytes deflate(const Bytes& from) {
  libdeflate_compressor* const compressor = libdeflate_alloc_compressor(6);
  Bytes out(libdeflate_deflate_compress_bound(compressor, from.size()));
  out.resize(
      libdeflate_deflate_compress(compressor, from.data(), from.size(), out.data(), out.size()));
  libdeflate_free_compressor(compressor);
  return out;
}

Bytes zstd(const Bytes& from) {
  Bytes out(ZSTD_compressBound(from.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), from.data(), from.size(), 3));
  return out;
}

Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

struct Codec {
  const char* name;
  CompressionType type;
  Bytes (*compress)(const Bytes&);
};

void PrintTo(const Codec& codec, std::ostream* out) {
  *out << codec.name;
}

class Compressed : public testing::TestWithParam<Codec> {
 protected:
  [[nodiscard]] Result<std::size_t> inflate(const Bytes& stream) {
    into_.assign(kCluster, std::byte{0xee});
    return inflate_cluster(GetParam().type, stream, into_);
  }
  [[nodiscard]] static Bytes compress(const Bytes& from) { return GetParam().compress(from); }

  Bytes into_;
};

TEST_P(Compressed, AWholeClusterComesOut) {
  ASSERT_TRUE(inflate(compress(content(kCluster))).ok());
  EXPECT_EQ(into_, content(kCluster));
}

TEST_P(Compressed, JunkBehindTheStreamIsIgnored) {
  ASSERT_TRUE(inflate(joined(compress(content(kCluster)), Bytes(511, std::byte{0xff}))).ok());
  EXPECT_EQ(into_, content(kCluster));
}

TEST_P(Compressed, ReturnsTheLengthOfTheStream) {
  const Bytes stream = compress(content(kCluster));
  const auto taken = inflate(joined(stream, Bytes(100, std::byte{0xff})));
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(*taken, stream.size());
}

TEST_P(Compressed, AShortStreamIsDamageAndALongOneReadsAsInQemu) {
  for (const std::size_t size : {std::size_t{0}, kCluster - 1, kCluster + 1, 100 * kCluster}) {
    const auto answer = inflate(compress(content(size)));
    if (size > kCluster && GetParam().type == CompressionType::kDeflate) {
      // QEMU takes the beginning.
      ASSERT_TRUE(answer.ok()) << size;
      EXPECT_EQ(into_, content(kCluster));
      continue;
    }
    ASSERT_FALSE(answer.ok()) << size;
    EXPECT_EQ(answer.error().kind, ErrorKind::kImageCorrupt);
  }
}

TEST_P(Compressed, ExactlyIsNeitherTooLittleNorTooMuch) {
  Bytes into(kCluster);
  for (const std::size_t size : {kCluster - 1, kCluster, kCluster + 1, 100 * kCluster}) {
    const auto taken = inflate_exactly(GetParam().type, compress(content(size)), into);
    EXPECT_EQ(taken.ok(), size == kCluster) << size;
  }
}

TEST_P(Compressed, AStreamCutAnywhereIsDamage) {
  const Bytes stream = compress(content(kCluster));
  for (std::size_t length = 0; length < stream.size(); length += 1 + length / 8) {
    const auto answer =
        inflate(Bytes(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(length)));
    // Only the end mark is missing.
    EXPECT_TRUE(!answer.ok() || (length + 4 > stream.size() && into_ == content(kCluster)))
        << length;
  }
}

TEST_P(Compressed, GarbageIsReportedAsDamage) {
  std::mt19937_64 random(test_seed());
  const Bytes stream = compress(content(kCluster));
  for (int round = 0; round < 500; ++round) {
    Bytes bad = stream;
    for (int i = 0; i < 4; ++i) {
      bad[random() % bad.size()] = static_cast<std::byte>(random());
    }
    const auto answer = inflate(bad);
    if (!answer.ok()) {
      EXPECT_EQ(answer.error().kind, ErrorKind::kImageCorrupt);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, Compressed,
                         testing::Values(Codec{"deflate", CompressionType::kDeflate, &deflate},
                                         Codec{"zstd", CompressionType::kZstd, &zstd}),
                         [](const testing::TestParamInfo<Codec>& codec) {
                           return codec.param.name;
                         });

TEST(CompressedZstd, FramesMayFollowEachOther) {
  const Bytes whole = content(kCluster);
  const auto middle = whole.begin() + 1000;
  Bytes into(kCluster);
  const Bytes stream = joined(zstd(Bytes(whole.begin(), middle)), zstd(Bytes(middle, whole.end())));
  ASSERT_TRUE(inflate_cluster(CompressionType::kZstd, stream, into).ok());
  EXPECT_EQ(into, whole);
}

TEST(CompressedZstd, EndlessEmptyFramesEnd) {
  Bytes stream;
  while (stream.size() < kCluster) {
    stream = joined(std::move(stream), zstd({}));
  }
  Bytes into(kCluster);
  EXPECT_FALSE(inflate_cluster(CompressionType::kZstd, stream, into).ok());
}

}  // namespace
}  // namespace blockpull::image::qcow2
