// SPDX-License-Identifier: Apache-2.0
//
// The error table: every kind has its own JavaScript code, and failures have libvirt's wording.

#include "virt/words/error_map.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace blockpull::virt {
namespace {

constexpr auto kLast = ErrorKind::kClosed;

TEST(ErrorMap, GivesEveryKindACodeOfItsOwn) {
  std::set<std::string_view> codes;
  for (int kind = 0; kind <= static_cast<int>(kLast); ++kind) {
    const Mapping& mapping = mapping_of(static_cast<ErrorKind>(kind));
    EXPECT_EQ(mapping.kind, static_cast<ErrorKind>(kind));
    EXPECT_TRUE(codes.insert(mapping.js_code).second) << mapping.js_code;
  }
}

TEST(ErrorMap, PutsThePrefixOfItsCodeBeforeAReport) {
  const Failure failure = report(ErrorKind::kJobActive, "disk 'vda' already in active block job");
  EXPECT_EQ(failure.error.message,
            "Operation not supported: disk 'vda' already in active block job");
  EXPECT_EQ(static_cast<int>(failure.code), 84);
  EXPECT_EQ(static_cast<int>(failure.domain), 10);
}

TEST(ErrorMap, LeavesAnArgumentCheckWithoutPrefix) {
  const Failure failure = argument_check(ErrorDomain::kPublic, {"virDomainBlockPull", "flags"},
                                         "use of flags requires a copy job");
  EXPECT_EQ(failure.error.message, "use of flags requires a copy job");
  EXPECT_EQ(static_cast<int>(failure.code), 8);
  EXPECT_EQ(static_cast<int>(failure.domain), 20);
}

TEST(ErrorMap, KeepsTheDetailsOfALowerError) {
  Error error = system_error("pwrite", 28, "/srv/a.qcow2");
  error.bytes_needed = 4096;
  const Failure failure = reported(error);
  EXPECT_EQ(failure.error.kind, ErrorKind::kNoSpace);
  EXPECT_EQ(failure.error.error_number, 28);
  EXPECT_EQ(failure.error.bytes_needed, 4096U);
  EXPECT_EQ(failure.error.path, "/srv/a.qcow2");
  EXPECT_EQ(static_cast<int>(failure.code), 38);
}

TEST(ErrorMap, LeavesTheSentenceOfABareImageAlone) {
  const Failure failure = plain(make_error(ErrorKind::kLocked, "'a.qcow2' is in use by pid 4711"));
  EXPECT_EQ(failure.error.message, "'a.qcow2' is in use by pid 4711");
  EXPECT_EQ(static_cast<int>(failure.code), 87);
}

}  // namespace
}  // namespace blockpull::virt
