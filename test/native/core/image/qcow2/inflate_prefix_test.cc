// SPDX-License-Identifier: Apache-2.0
//
// The slow decoder compared with libdeflate, which it replaces, and at the edges where only it can
// decode.

#include "core/image/qcow2/inflate_prefix.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <libdeflate.h>

namespace blockpull::image::qcow2 {
namespace {

using Bytes = std::vector<std::byte>;

Bytes deflate(const Bytes& from, int level) {
  libdeflate_compressor* const compressor = libdeflate_alloc_compressor(level);
  Bytes out(libdeflate_deflate_compress_bound(compressor, from.size()));
  out.resize(
      libdeflate_deflate_compress(compressor, from.data(), from.size(), out.data(), out.size()));
  libdeflate_free_compressor(compressor);
  return out;
}

/// Text-like for small `spread`, noise for 256.
Bytes content(std::size_t size, unsigned spread, std::mt19937_64& random) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = i > 50 && random() % 3 != 0 ? bytes[i - 1 - random() % 50]
                                           : static_cast<std::byte>(random() % spread);
  }
  return bytes;
}

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) {
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

TEST(InflatePrefix, GivesTheBeginningOfEveryStream) {
  std::mt19937_64 random(20);
  for (int level = 0; level <= 12; ++level) {
    for (const unsigned spread : {1U, 4U, 256U}) {
      const Bytes whole = content(100000, spread, random);
      const Bytes stream = deflate(whole, level);
      for (const std::size_t length : {1UL, 511UL, 65536UL, whole.size()}) {
        Bytes into(length);
        ASSERT_TRUE(inflate_prefix(stream, into)) << "level " << level << " spread " << spread;
        ASSERT_TRUE(std::equal(into.begin(), into.end(), whole.begin()));
      }
      Bytes longer(whole.size() + 1);
      EXPECT_FALSE(inflate_prefix(stream, longer));
    }
  }
}

TEST(InflatePrefix, WhatIsCutOffOrBadBehindTheOutputDoesNotMatter) {
  std::mt19937_64 random(21);
  const Bytes whole = content(70000, 4, random);
  const Bytes stream = deflate(whole, 6);
  Bytes half(whole.size() / 2);
  ASSERT_TRUE(inflate_prefix(std::span(stream).first(stream.size() * 3 / 4), half));
  Bytes all(whole.size());
  EXPECT_FALSE(inflate_prefix(std::span(stream).first(stream.size() * 3 / 4), all));
  // A stored block of one byte, then a block of a type that does not exist. As in zlib, its head is
  // checked before any room is needed.
  const Bytes bad = bytes_of({0x00, 1, 0, 0xfe, 0xff, 'a', 0x07});
  Bytes one(1);
  EXPECT_FALSE(inflate_prefix(bad, one));
  EXPECT_TRUE(inflate_prefix(std::span(bad).first(6), one));
  EXPECT_EQ(one[0], std::byte{'a'});
}

TEST(InflatePrefix, RandomBytesNeitherCrashNorRunOver) {
  std::mt19937_64 random(22);
  int filled = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes stream(random() % 200);
    for (std::byte& byte : stream) {
      byte = static_cast<std::byte>(random());
    }
    Bytes into(random() % 64 + 1);
    filled += inflate_prefix(stream, into) ? 1 : 0;
  }
  EXPECT_GT(filled, 0);
  EXPECT_LT(filled, 20000);
}

}  // namespace
}  // namespace blockpull::image::qcow2
