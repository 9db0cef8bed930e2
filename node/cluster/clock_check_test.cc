#include "node/cluster/clock_check.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

std::vector<absl::Duration> Clocks(std::initializer_list<int> seconds) {
  std::vector<absl::Duration> clocks;
  for (const int one : seconds) clocks.push_back(absl::Seconds(one));
  return clocks;
}

// Looks once a second for `seconds`.
bool Off(ClockCheck& check, std::initializer_list<int> others, size_t voters, int from,
         int seconds = 5) {
  for (int second = from; second < from + seconds; ++second) {
    check.Look(Clocks(others), voters, absl::Seconds(second));
  }
  return check.state().off;
}

TEST(ClockCheckTest, WhoDiffersFromTheOthersIsOff) {
  ClockCheck ours({});
  EXPECT_TRUE(Off(ours, {40, 41}, 3, 0));
  EXPECT_EQ(*ours.state().ahead, absl::Seconds(-40));
  ClockCheck theirs({});
  EXPECT_FALSE(Off(theirs, {0, 5000}, 3, 0));
  EXPECT_EQ(*theirs.state().ahead, absl::ZeroDuration());
  ClockCheck five({});
  EXPECT_FALSE(Off(five, {0, 29, 3000, 3000}, 5, 0));  // The median is 29.
  EXPECT_TRUE(Off(five, {0, 31, 3000, 3000}, 5, 10));
}

TEST(ClockCheckTest, ItMustLastAMoment) {
  ClockCheck check({});
  EXPECT_FALSE(Off(check, {60, 60}, 3, 0, 2));
  EXPECT_FALSE(Off(check, {0, 0}, 3, 2, 1));
  EXPECT_FALSE(Off(check, {60, 60}, 3, 3, 2));
  EXPECT_TRUE(Off(check, {60, 60}, 3, 5, 1));
  EXPECT_TRUE(Off(check, {0, 0}, 3, 6, 2));
  EXPECT_FALSE(Off(check, {0, 0}, 3, 8, 1));
}

TEST(ClockCheckTest, WithoutAMajorityAndBetweenTwoNobodyIsAccused) {
  ClockCheck two_of_three({});
  EXPECT_FALSE(Off(two_of_three, {3600}, 3, 0, 60));
  ClockCheck two_of_five({});
  EXPECT_FALSE(Off(two_of_five, {3600}, 5, 0, 60));
  EXPECT_FALSE(two_of_five.state().ahead.has_value());
  ClockCheck alone({});
  EXPECT_FALSE(Off(alone, {}, 1, 0, 60));
  // Who was off stays so until a majority says otherwise.
  ClockCheck cut({});
  EXPECT_TRUE(Off(cut, {-99, -99}, 3, 0));
  EXPECT_TRUE(Off(cut, {}, 3, 10, 60));
  EXPECT_FALSE(Off(cut, {1, -1}, 3, 70));
}

}  // namespace
}  // namespace holdfast::node
