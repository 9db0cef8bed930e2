// Puts known bugs back into whole nodes, one at a time (NodeMutation), and shows that seeds find
// each.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "base/log.h"
#include "tests/sim/node_sim.h"

namespace holdfast::raft_test {
namespace {

using node::NodeMutation;

struct Bug {
  NodeMutation mutation;
  const char* name;
  uint64_t seeds_max;  // Among so many, one must find it.
};

class NodeMutationTest : public testing::TestWithParam<Bug> {
 protected:
  NodeMutationTest() { SetLogLevel(LogLevel::kError); }
};

TEST_P(NodeMutationTest, IsFoundBySeeds) {
  NodeSimOptions options;
  options.mutation = GetParam().mutation;
  std::string error;
  for (options.seed = 1; options.seed <= GetParam().seeds_max && error.empty(); ++options.seed) {
    error = RunNodeSimApart(options).error;
  }
  EXPECT_NE(error, "") << "no seed found it";
}

INSTANTIATE_TEST_SUITE_P(
    Bugs, NodeMutationTest,
    testing::Values(Bug{NodeMutation::kNoIntent, "NoIntent", 10},
                    Bug{NodeMutation::kEndBodyWithEnqueue, "EndBodyWithEnqueue", 10},
                    Bug{NodeMutation::kNoticeTwice, "NoticeTwice", 10},
                    Bug{NodeMutation::kOfferUnknownAgain, "OfferUnknownAgain", 10},
                    Bug{NodeMutation::kForgetReplays, "ForgetReplays", 10},
                    Bug{NodeMutation::kOutcomeTwice, "OutcomeTwice", 20},
                    Bug{NodeMutation::kSettleAtOnce, "SettleAtOnce", 10},
                    Bug{NodeMutation::kForgetOutcomes, "ForgetOutcomes", 10},
                    Bug{NodeMutation::kNoLease, "NoLease", 10},
                    Bug{NodeMutation::kRaiseUnasked, "RaiseUnasked", 60},
                    Bug{NodeMutation::kSkipForeign, "SkipForeign", 40},
                    Bug{NodeMutation::kRaiseEarly, "RaiseEarly", 40}),
    [](const testing::TestParamInfo<Bug>& bug) { return std::string(bug.param.name); });

}  // namespace
}  // namespace holdfast::raft_test
