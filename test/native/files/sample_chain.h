// SPDX-License-Identifier: Apache-2.0
//
// Chains on disk for tests. The library creates the images and this file links guest data into
// them, so a test needs no other program. Only for images whose L1 table has one entry.

#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/image/chain.h"
#include "core/image/create.h"
#include "core/image/qcow2/layout.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::files {

inline void create_qcow2(const image::CreateOptions& options) {
  const auto created = image::create_image(options);
  ASSERT_TRUE(created.ok()) << created.error().message;
}

/// An overlay of `size` bytes on `backing`, as the header is to state it.
inline void create_overlay(const std::string& path, std::uint64_t size, const std::string& backing,
                           image::Format format) {
  image::CreateOptions options;
  options.path = path;
  options.size = size;
  options.backing_file = backing;
  options.backing_format = format;
  create_qcow2(options);
}

/// Sets the L2 entry of guest cluster `index`; appends the table if there is none. Refcounts do not
/// change, so the image is only for reading.
inline void set_l2_entry(const std::string& path, std::uint64_t index, std::uint64_t entry) {
  using namespace image::qcow2;
  auto file = io::PosixFile::open(path, io::Access::kReadWrite);
  ASSERT_TRUE(file.ok());
  std::vector<std::byte> header(512);
  ASSERT_TRUE((*file)->read_at(0, header).ok());
  const std::uint64_t cluster = std::uint64_t{1}
                                << be_at<std::uint32_t>(header, field::kClusterBits);
  const auto l1 = be_at<std::uint64_t>(header, field::kL1TableOffset);
  std::vector<std::byte> word(8);
  ASSERT_TRUE((*file)->read_at(l1, word).ok());
  auto table = be_at<std::uint64_t>(word, 0) & kOffsetMask;
  if (table == 0) {
    table = round_up(*(*file)->size(), cluster);
    ASSERT_TRUE((*file)->truncate(table + cluster).ok());
    put_be_at<std::uint64_t>(word, 0, table | kCopied);
    ASSERT_TRUE((*file)->write_at(l1, word).ok());
  }
  put_be_at<std::uint64_t>(word, 0, entry);
  ASSERT_TRUE((*file)->write_at(table + index * 8, word).ok());
}

/// Gives guest cluster `index` a data cluster filled with `value`.
inline void write_cluster(const std::string& path, std::uint64_t index, int value) {
  using namespace image::qcow2;
  set_l2_entry(path, index, 0);
  auto file = io::PosixFile::open(path, io::Access::kReadWrite);
  ASSERT_TRUE(file.ok());
  std::vector<std::byte> header(512);
  ASSERT_TRUE((*file)->read_at(0, header).ok());
  const std::uint64_t cluster = std::uint64_t{1}
                                << be_at<std::uint32_t>(header, field::kClusterBits);
  const std::uint64_t host = round_up(*(*file)->size(), cluster);
  ASSERT_TRUE(
      (*file)->write_at(host, std::vector<std::byte>(cluster, static_cast<std::byte>(value))).ok());
  set_l2_entry(path, index, host | kCopied);
}

inline image::Chain open_sample(const std::string& path) {
  auto chain = image::open_chain(path, {});
  EXPECT_TRUE(chain.ok()) << (chain.ok() ? "" : chain.error().message);
  return chain.ok() ? std::move(chain).value() : image::Chain{};
}

}  // namespace blockpull::files
