// Puts known bugs back into the host, one at a time (GroupHostOptions::mutation), and shows that
// seeds find each.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "base/log.h"
#include "tests/sim/host_sim.h"

namespace holdfast::raft_test {
namespace {

using raft::HostMutation;

struct Bug {
  HostMutation mutation;
  const char* name;
  uint64_t seeds_max;  // Among so many, one must find it.
  bool members_change = false;
  bool aim = false;
};

class HostMutationTest : public testing::TestWithParam<Bug> {
 protected:
  HostMutationTest() { SetLogLevel(LogLevel::kError); }
};

TEST_P(HostMutationTest, IsFoundBySeeds) {
  HostSimOptions options;
  options.mutation = GetParam().mutation;
  options.members =
      GetParam().members_change ? HostSimOptions::Members::kChange : HostSimOptions::Members::kStay;
  options.aim = GetParam().aim ? HostSimOptions::Aim::kAlways : HostSimOptions::Aim::kNever;
  std::string error;
  for (uint64_t number = 0; number < GetParam().seeds_max && error.empty(); ++number) {
    options.seed = 1 + number;
    error = RunHostSimApart(options).error;
  }
  EXPECT_NE(error, "") << "no seed found it";
}

INSTANTIATE_TEST_SUITE_P(
    Bugs, HostMutationTest,
    testing::Values(
        Bug{HostMutation::kAcknowledgeBeforeSync, "AcknowledgeBeforeSync", 20},
        Bug{HostMutation::kAnswerBeforeCommit, "AnswerBeforeCommit", 20},
        Bug{HostMutation::kElideWithoutIndex, "ElideWithoutIndex", 20},
        Bug{HostMutation::kLeadBeforeOwnEntryApplied, "LeadBeforeOwnEntryApplied", 20},
        Bug{HostMutation::kAbortWhenLeadershipIsLost, "AbortWhenLeadershipIsLost", 20},
        Bug{HostMutation::kReadBeforeApplied, "ReadBeforeApplied", 20},
        Bug{HostMutation::kApplyTwiceAfterRestart, "ApplyTwiceAfterRestart", 20},
        Bug{HostMutation::kLeaveJointAtOnce, "LeaveJointAtOnce", 20, true},
        Bug{HostMutation::kLearnerVotes, "LearnerVotes", 20, true},
        Bug{HostMutation::kForgetMembersOfSnapshot, "ForgetMembersOfSnapshot", 20, true},
        Bug{HostMutation::kForgetMembersApplied, "ForgetMembersApplied", 20, true},
        Bug{HostMutation::kKeepAbandonedBodies, "KeepAbandonedBodies", 150},
        Bug{HostMutation::kHearVotesAfterRestart, "HearVotesAfterRestart", 20, false, true},
        Bug{HostMutation::kVoteWithAmnesia, "VoteWithAmnesia", 20, false, true}),
    [](const testing::TestParamInfo<Bug>& bug) { return std::string(bug.param.name); });

}  // namespace
}  // namespace holdfast::raft_test
