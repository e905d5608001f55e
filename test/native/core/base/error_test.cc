// SPDX-License-Identifier: Apache-2.0
//
// Errors as values, their sentences, and how Result propagates them.

#include "core/base/error.h"

#include <cerrno>

#include <gtest/gtest.h>

#include "core/base/result.h"
#include "core/base/text.h"

namespace blockpull {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) {
    return make_error(ErrorKind::kInvalidArgument, text("number is ", number, "; it must be even"));
  }
  return number / 2;
}

Result<int> quarter(int number) {
  BLOCKPULL_TRY(once, half(number));
  BLOCKPULL_TRY(twice, half(once));
  return twice;
}

TEST(Error, TheKindFollowsFromTheErrno) {
  EXPECT_EQ(system_error("write", ENOSPC, "a").kind, ErrorKind::kNoSpace);
  EXPECT_EQ(system_error("write", EDQUOT, "a").kind, ErrorKind::kNoSpace);
  EXPECT_EQ(system_error("open", EACCES, "a").kind, ErrorKind::kAccessDenied);
  EXPECT_EQ(system_error("open", EROFS, "a").kind, ErrorKind::kReadOnly);
  EXPECT_EQ(system_error("open", ENOENT, "a").kind, ErrorKind::kNotFound);
  EXPECT_EQ(system_error("read", EIO, "a").kind, ErrorKind::kIo);
}

TEST(Error, ASystemErrorNamesCallFileAndReason) {
  const Error error = system_error("open", ENOENT, "a.qcow2");
  EXPECT_EQ(error.message, "open of 'a.qcow2' failed: No such file or directory");
  EXPECT_EQ(error.error_number, ENOENT);
  EXPECT_EQ(error.system_call, "open");
  EXPECT_EQ(error.path, "a.qcow2");
}

TEST(Error, APathOnceSetIsKept) {
  EXPECT_EQ(make_error(ErrorKind::kIo, "x").with_path("a").with_path("b").path, "a");
}

TEST(Result, TheFirstErrorIsPropagated) {
  EXPECT_EQ(*quarter(12), 3);
  EXPECT_EQ(quarter(7).error().message, "number is 7; it must be even");
  EXPECT_EQ(quarter(6).error().message, "number is 3; it must be even");
}

TEST(Text, PutsPiecesTogether) {
  EXPECT_EQ(text("a ", 5, std::string(" b "), Hex{0xfe00}, " ", std::int64_t{-3}),
            "a 5 b 0xfe00 -3");
  EXPECT_EQ(text(), "");
}

}  // namespace
}  // namespace blockpull
