#include "node/submit/disk_budget.h"

#include <gtest/gtest.h>

#include <vector>

namespace holdfast::node {
namespace {

void Look(DiskBudget& budget, uint64_t free_bytes, uint64_t unflushed_bytes = 0) {
  budget.BeginLook();
  budget.EndLook(free_bytes, unflushed_bytes);
}

TEST(DiskBudgetTest, AStartIsNotRefused) {
  DiskBudget budget(1000);
  EXPECT_TRUE(budget.TryReserve(uint64_t{1} << 40).has_value());
}

TEST(DiskBudgetTest, TheReserveAndWhatIsNotFlushedAreKeptFree) {
  DiskBudget budget(1000);
  Look(budget, 1600, 400);
  EXPECT_EQ(budget.Room(), 100u);  // 200 free bytes: one for the WAL and one for the flush of each.
  Look(budget, 1400, 400);
  EXPECT_EQ(budget.Room(), 0u);
  EXPECT_FALSE(budget.TryReserve(1).has_value());
  Look(budget, 10'000, 400);  // Space came back: nothing else is needed.
  EXPECT_EQ(budget.Room(), 4300u);
}

TEST(DiskBudgetTest, InputBetweenTwoLooksCannotPassTheReserve) {
  DiskBudget budget(1000);
  Look(budget, 3000);
  uint64_t accepted = 0;
  while (auto one = budget.TryReserve(64)) accepted += 64;  // Settled at once, never looked at.
  EXPECT_LE(accepted * kDiskBytesPerByte, 2000u);
  EXPECT_GT((accepted + 64) * kDiskBytesPerByte, 2000u);
  Look(budget, 3000 - accepted, accepted);  // In the WAL, and still to be flushed.
  EXPECT_LT(budget.Room(), 64u);
  Look(budget, 3000 - 2 * accepted);
  EXPECT_LT(budget.Room(), 64u);
}

TEST(DiskBudgetTest, WhatIsUnderWayCountsUntilItEndsAndIsSeen) {
  DiskBudget budget(0);
  Look(budget, 2000);
  {
    auto one = budget.TryReserve(300);
    ASSERT_TRUE(one.has_value());
    EXPECT_EQ(budget.Room(), 700u);
    Look(budget, 2000);  // Not yet written.
    EXPECT_EQ(budget.Room(), 700u);
    auto moved = std::move(one);
  }
  EXPECT_EQ(budget.Room(), 700u);
  Look(budget, 1700, 300);
  EXPECT_EQ(budget.Room(), 700u);
}

TEST(DiskBudgetTest, WhatSettlesDuringALookCountsUntilTheNext) {
  DiskBudget budget(0);
  Look(budget, 2000);
  std::vector<DiskBudget::Reservation> held;
  held.push_back(*budget.TryReserve(100));
  budget.BeginLook();
  held.clear();
  budget.EndLook(2000, 0);  // May have been before those 100 were written.
  EXPECT_EQ(budget.Room(), 900u);
  budget.BeginLook();  // Fails: nothing is forgotten.
  budget.BeginLook();
  budget.EndLook(1900, 100);
  EXPECT_EQ(budget.Room(), 900u);
}

}  // namespace
}  // namespace holdfast::node
