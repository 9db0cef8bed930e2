#include "node/delivery/attempts_under_way.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

const queue::UnitKey kUnit{queue::QueueId(), 0};
const queue::UnitKey kOther{queue::QueueId(), 1};

TEST(AttemptsUnderWayTest, OnlyWhatIsUnderWayIsAskedAgain) {
  AttemptsUnderWay under_way;
  under_way.AskAgain(kUnit, "before.test");
  under_way.Add(7, kUnit);
  under_way.Add(8, kOther);
  EXPECT_FALSE(under_way.AskedAgain(7));
  under_way.AskAgain(kUnit, "one.test");
  EXPECT_TRUE(under_way.AskedAgain(7));
  EXPECT_FALSE(under_way.AskedAgain(8));
  EXPECT_EQ(under_way.Remove(7), "one.test");
  EXPECT_FALSE(under_way.AskedAgain(7));
  EXPECT_EQ(under_way.Remove(7), std::nullopt);
  EXPECT_EQ(under_way.Remove(8), std::nullopt);
  EXPECT_TRUE(under_way.empty());
}

TEST(AttemptsUnderWayTest, TheNextAttemptBeginsUnasked) {
  AttemptsUnderWay under_way;
  under_way.Add(7, kUnit);
  under_way.AskAgain(kUnit, "one.test");
  (void)under_way.Remove(7);
  under_way.Add(9, kUnit);
  EXPECT_FALSE(under_way.AskedAgain(9));
  EXPECT_TRUE(under_way.Contains(9));
  EXPECT_FALSE(under_way.Contains(7));
}

}  // namespace
}  // namespace holdfast::node
