// SPDX-License-Identifier: Apache-2.0
//
// The order in which operations on the same name begin.

#include "core/base/turns.h"

#include <vector>

#include <gtest/gtest.h>

namespace blockpull {
namespace {

class TurnsTest : public testing::Test {
 protected:
  void wait(const std::string& name, const std::string& who) {
    turns_.wait(name, [this, who](Turns::Turn turn) {
      begun_.push_back(who);
      held_.push_back(std::move(turn));
    });
  }

  using Names = std::vector<std::string>;

  Turns turns_;
  Names begun_;
  std::vector<Turns::Turn> held_;
};

TEST_F(TurnsTest, OperationsOnOneNameRunInOrder) {
  wait("a", "first");
  wait("a", "second");
  wait("a", "third");
  EXPECT_EQ(begun_, Names{"first"});
  held_[0].reset();
  EXPECT_EQ(begun_, (Names{"first", "second"}));
  held_[1].reset();
  EXPECT_EQ(begun_, (Names{"first", "second", "third"}));
}

TEST_F(TurnsTest, DifferentNamesDoNotWaitForEachOther) {
  wait("a", "first");
  wait("b", "other");
  EXPECT_EQ(begun_, (Names{"first", "other"}));
}

TEST_F(TurnsTest, ATurnEndsWithItsLastHolder) {
  wait("a", "first");
  Turns::Turn copy = held_[0];
  held_[0].reset();
  wait("a", "second");
  EXPECT_EQ(begun_, Names{"first"});
  copy.reset();
  EXPECT_EQ(begun_, (Names{"first", "second"}));
}

TEST_F(TurnsTest, ATurnDroppedWithoutACallBlocksNobody) {
  turns_.wait("a", [](const Turns::Turn& /*dropped*/) {});
  wait("a", "next");
  EXPECT_EQ(begun_, Names{"next"});
}

}  // namespace
}  // namespace blockpull
