#include "raft/host/undecided.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::raft {
namespace {

using Proposals = Undecided<std::string>;

std::string Names(const std::vector<Proposals::Pending>& list) {
  std::string names;
  for (const Proposals::Pending& pending : list) names += pending.answer + " ";
  return names;
}

class UndecidedTest : public testing::Test {
 protected:
  UndecidedTest() {
    proposals_.Add(5, 2, absl::Seconds(1), "5/2");
    proposals_.Add(6, 2, absl::Seconds(1), "6/2");
    proposals_.Add(7, 2, absl::Seconds(2), "7/2");
  }
  std::string Decide(LogIndex index, Term term) {
    auto match = proposals_.Decide(index, term, aborted_);
    return match ? match->answer : "none";
  }
  Proposals proposals_;
  std::vector<Proposals::Pending> aborted_;
};

TEST_F(UndecidedTest, AnEntryAppliedAtItsPlaceIsTheProposal) {
  EXPECT_EQ(Decide(5, 2), "5/2");
  EXPECT_EQ(Decide(6, 2), "6/2");
  EXPECT_TRUE(aborted_.empty());
  EXPECT_EQ(proposals_.size(), 1u);
}

TEST_F(UndecidedTest, EntriesOfEarlierTermsSayNothing) {
  EXPECT_EQ(Decide(3, 1), "none");
  EXPECT_EQ(Decide(4, 2), "none");
  EXPECT_TRUE(aborted_.empty());
}

TEST_F(UndecidedTest, AnEntryOfANewerTermRulesOutAllOlderProposalsEvenBehindIt) {
  EXPECT_EQ(Decide(6, 3), "none");
  EXPECT_EQ(Names(aborted_), "5/2 6/2 7/2 ");
  EXPECT_EQ(proposals_.size(), 0u);
}

TEST_F(UndecidedTest, ANewTermMayProposeForTheSamePlaceAgain) {
  proposals_.Add(6, 4, absl::Seconds(3), "6/4");
  EXPECT_EQ(Decide(5, 2), "5/2");
  EXPECT_EQ(Decide(6, 4), "6/4");
  EXPECT_EQ(Names(aborted_), "6/2 7/2 ");
}

TEST_F(UndecidedTest, ExpiredProposalsStayUntilTheyAreDecided) {
  std::string expired;
  const auto visit = [&](Proposals::Pending& pending) { expired += pending.answer + " "; };
  proposals_.Expire(absl::Milliseconds(999), visit);
  EXPECT_EQ(expired, "");
  proposals_.Expire(absl::Seconds(1), visit);
  proposals_.Expire(absl::Seconds(1), visit);
  EXPECT_EQ(expired, "5/2 6/2 ");
  EXPECT_EQ(proposals_.size(), 3u);
  auto match = proposals_.Decide(5, 2, aborted_);
  ASSERT_TRUE(match.has_value());
  EXPECT_TRUE(match->timed_out);
  proposals_.Add(8, 2, absl::Seconds(2), "8/2");
  proposals_.Expire(absl::Seconds(9), visit);
  EXPECT_EQ(expired, "5/2 6/2 7/2 8/2 ");
}

TEST_F(UndecidedTest, TakingAllLeavesNone) {
  EXPECT_EQ(Names(proposals_.TakeAll()), "5/2 6/2 7/2 ");
  EXPECT_EQ(proposals_.size(), 0u);
}

}  // namespace
}  // namespace holdfast::raft
