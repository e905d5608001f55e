// SPDX-License-Identifier: Apache-2.0
//
// Magic numbers, and that no file is ever guessed to be raw.

#include "core/image/probe.h"

#include <string_view>

#include <gtest/gtest.h>

#include "faults/memory_file.h"

namespace blockpull::image {
namespace {

faults::MemoryFile file_of(std::string_view content) {
  std::vector<std::byte> bytes(content.size());
  std::transform(content.begin(), content.end(), bytes.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  return faults::MemoryFile(std::move(bytes), "disk");
}

TEST(Probe, RecognizesQcow2ByItsMagic) {
  faults::MemoryFile file = file_of("QFI\xfb rest");
  EXPECT_EQ(*probe_format(file), Format::kQcow2);
}

TEST(Probe, QedIsRefusedByName) {
  faults::MemoryFile file = file_of(std::string_view("QED\0rest", 8));
  const auto format = probe_format(file);
  ASSERT_FALSE(format.ok());
  EXPECT_EQ(format.error().kind, ErrorKind::kFeatureUnsupported);
  EXPECT_NE(format.error().message.find("QED format, which is not supported"), std::string::npos);
}

TEST(Probe, RecognizesOtherFormatsByTheirFirstBytes) {
  const auto told = [](std::string_view first) {
    return format_by_magic(std::as_bytes(std::span(first)));
  };
  EXPECT_EQ(told("QFI\xfb and more"), "qcow2");
  EXPECT_EQ(told(std::string_view("QED\0", 4)), "qed");
  EXPECT_EQ(told("KDMV"), "vmdk");
  EXPECT_EQ(told("# Disk DescriptorFile\n"), "vmdk");
  EXPECT_EQ(told("LUKS\xba\xbe"), "luks");
  for (const std::string_view first : {"", "KDM", "plain bytes of some disk", "\xeb\x3c\x90"}) {
    EXPECT_EQ(told(first), "") << first;
  }
}

TEST(Probe, OtherFilesAreUnknownAndTheErrorSaysWhatToState) {
  for (const std::string_view content : {"", "QFI", "KDMV", "plain bytes of some disk"}) {
    faults::MemoryFile file = file_of(content);
    const auto format = probe_format(file);
    ASSERT_FALSE(format.ok()) << content;
    EXPECT_EQ(format.error().kind, ErrorKind::kFormatUnknown);
    EXPECT_NE(format.error().message.find("'raw'"), std::string::npos);
  }
}

}  // namespace
}  // namespace blockpull::image
