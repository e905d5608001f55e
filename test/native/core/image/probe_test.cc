// SPDX-License-Identifier: Apache-2.0
//
// Magic numbers, and that nothing is ever guessed to be raw.

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

TEST(Probe, Qcow2IsToldByItsMagic) {
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

TEST(Probe, EverythingElseIsUnknownAndTheSentenceTellsWhatToSay) {
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
