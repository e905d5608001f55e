// SPDX-License-Identifier: Apache-2.0
//
// What QEMU accepts as UTF-8; each sample was sent to a QEMU 7.2 as the id of a command.

#include "core/qmp/utf8.h"

#include <string>

#include <gtest/gtest.h>

namespace blockpull::qmp {
namespace {

/// Samples are placed behind ASCII of every length up to `kShifts`, so that each meets each step of
/// eight bytes.
constexpr std::size_t kShifts = 17;

void expect_refused(std::string_view bytes) {
  for (std::size_t shift = 0; shift < kShifts; ++shift) {
    const std::string before(shift, 'x');
    EXPECT_EQ(find_no_utf8(before + std::string(bytes)), shift);
    EXPECT_EQ(find_no_utf8(before + std::string(bytes) + "more behind it"), shift);
  }
}

void expect_taken(std::string_view bytes) {
  for (std::size_t shift = 0; shift < kShifts; ++shift) {
    const std::string text = std::string(shift, 'x') + std::string(bytes);
    EXPECT_EQ(find_no_utf8(text), std::string::npos) << text;
    EXPECT_EQ(find_no_utf8(text + "more behind it"), std::string::npos) << text;
  }
}

TEST(Utf8, RefusesBytesThatBeginNoCharacter) {
  expect_refused("\x80");
  expect_refused("\xBF");
  expect_refused("\xF8\x88\x80\x80\x80");
  expect_refused("\xFE");
  expect_refused("\xFF");
}

TEST(Utf8, RefusesACharacterThatIsCut) {
  expect_refused("\xC3");
  expect_refused("\xE2\x82");
  expect_refused("\xF0\x9F\x98");
  expect_refused("\xC3(");
}

TEST(Utf8, RefusesOverlongForms) {
  expect_refused("\xC0\x80");
  expect_refused("\xC1\xBF");
  expect_refused("\xE0\x9F\xBF");
  expect_refused("\xF0\x8F\xBF\xBF");
}

TEST(Utf8, RefusesSurrogatesNoncharactersAndWhatLiesAboveUnicode) {
  expect_refused("\xED\xA0\x80");
  expect_refused("\xED\xBF\xBF");
  expect_refused("\xEF\xB7\x90");
  expect_refused("\xEF\xB7\xAF");
  expect_refused("\xEF\xBF\xBE");
  expect_refused("\xEF\xBF\xBF");
  expect_refused("\xF0\x9F\xBF\xBE");
  expect_refused("\xF4\x90\x80\x80");
}

TEST(Utf8, TakesCharactersOfEveryLengthAndTheirBounds) {
  expect_taken("");
  expect_taken("\x7F");
  expect_taken("\xC2\x80\xDF\xBF");
  expect_taken("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBD");
  expect_taken("\xF0\x90\x80\x80\xF4\x8F\xBF\xBD");
  expect_taken("gr\xC3\xBC\xC3\x9F e \xF0\x9F\x98\x80");
}

}  // namespace
}  // namespace blockpull::qmp
