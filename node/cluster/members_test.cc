#include "node/cluster/members.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace holdfast::node {
namespace {

using raft::ConfChangeStep;
using raft::ConfChangeType;

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};
constexpr NodeId kFour{4};
constexpr NodeId kFive{5};

raft::GroupStatus Group(std::vector<NodeId> voters, std::vector<NodeId> learners = {}) {
  raft::GroupStatus group;
  group.group = GroupId{1};
  group.leader = kOne;
  group.last = 1000;
  for (const NodeId node : voters) group.members[node] = {1000, true, false};
  for (const NodeId node : learners) group.members[node] = {1000, true, true};
  group.voters = std::move(voters);
  group.learners = std::move(learners);
  return group;
}

NodeRow Admitted(NodeId node, NodeId replaces = {}) {
  return {node, false, "host:1", replaces, "token"};
}
NodeRow Removed(NodeId node) { return {node, true, "", {}, ""}; }

std::optional<MemberStep> Next(const raft::GroupStatus& group, const std::vector<NodeRow>& nodes,
                               NodeId self = kOne, bool may_leave = true, bool may_vote = true) {
  return NextMemberStep(
      group, self, nodes,
      {[may_leave](NodeId) { return may_leave; }, [may_vote](NodeId) { return may_vote; }});
}

TEST(MembersTest, ANodeThatWasAddedWaitsUntilItHasBegun) {
  EXPECT_FALSE(Next(Group({kOne, kTwo, kThree}), {{kFour, false, "host:1", {}, ""}}).has_value());
}

TEST(MembersTest, AnAdmittedNodeLearnsFirstAndVotesWhenItHasCaughtUp) {
  auto step = Next(Group({kOne, kTwo, kThree}), {Admitted(kFour)});
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->change.steps,
            (std::vector<ConfChangeStep>{{ConfChangeType::kAddLearner, kFour}}));
  raft::GroupStatus group = Group({kOne, kTwo, kThree}, {kFour});
  group.members[kFour].match = 1000 - kPromoteWithinEntries - 1;
  EXPECT_FALSE(Next(group, {Admitted(kFour)}).has_value());
  group.members[kFour].match = 1000 - kPromoteWithinEntries;
  step = Next(group, {Admitted(kFour)});
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->change.steps, (std::vector<ConfChangeStep>{{ConfChangeType::kAddVoter, kFour}}));
  group.members[kFour].active = false;
  EXPECT_FALSE(Next(group, {Admitted(kFour)}).has_value());
  EXPECT_FALSE(Next(Group({kOne, kTwo, kThree, kFour}), {Admitted(kFour)}).has_value());
}

TEST(MembersTest, WhoHasAcknowledgedNothingDoesNotVoteHoweverShortTheLog) {
  raft::GroupStatus group = Group({kOne, kTwo, kThree}, {kFour});
  group.last = kPromoteWithinEntries / 2;
  group.members[kFour] = {0, /*active=*/true, /*learner=*/true};
  EXPECT_FALSE(Next(group, {Admitted(kFour, kTwo)}).has_value());
  group.members[kFour].match = 1;
  EXPECT_TRUE(Next(group, {Admitted(kFour, kTwo)}).has_value());
}

// Removed while it joined, it would lead a queue group and never hear that it is to go.
TEST(MembersTest, NobodyVotesWhomTheControlGroupDoesNotTellWhatItWants) {
  const raft::GroupStatus group = Group({kOne, kTwo, kThree}, {kFour});
  EXPECT_FALSE(Next(group, {Admitted(kFour)}, kOne, true, /*may_vote=*/false).has_value());
  EXPECT_TRUE(Next(group, {Admitted(kFour)}).has_value());
  raft::GroupStatus control = group;
  EXPECT_TRUE(IsMember(kTwo, control) && IsMember(kFour, control));
  control.learners.clear();
  EXPECT_FALSE(IsMember(kFour, control));
  control.voters_outgoing = {kFour};
  EXPECT_TRUE(IsMember(kFour, control));
}

TEST(MembersTest, ALearnerOfTheControlGroupStaysUntilTheOthersDroppedIt) {
  const raft::GroupStatus group = Group({kOne, kTwo, kThree}, {kFour});
  EXPECT_FALSE(Next(group, {Removed(kFour)}, kOne, /*may_leave=*/false).has_value());
  EXPECT_TRUE(Next(group, {Removed(kFour)}).has_value());
}

TEST(MembersTest, AReplacementTakesThePlaceInOneStep) {
  const auto step =
      Next(Group({kOne, kTwo, kThree}, {kFour}), {Admitted(kFour, /*replaces=*/kTwo)});
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->change.steps, (std::vector<ConfChangeStep>{{ConfChangeType::kAddVoter, kFour},
                                                             {ConfChangeType::kRemove, kTwo}}));
  EXPECT_TRUE(step->change.EntersJoint());
}

TEST(MembersTest, InTheControlGroupTheReplacedNodeStaysUntilTheOthersDroppedIt) {
  const raft::GroupStatus group = Group({kOne, kTwo, kThree}, {kFour});
  // Nor does the other vote beside it: with node 2 down three of four would be all who are left.
  EXPECT_FALSE(Next(group, {Admitted(kFour, kTwo)}, kOne, /*may_leave=*/false).has_value());
  const auto step = Next(group, {Admitted(kFour, kTwo)});
  ASSERT_TRUE(step.has_value());
  EXPECT_TRUE(step->change.EntersJoint());
}

// A node that had joined itself is no newcomer when another has taken its place.
TEST(MembersTest, WhoWasReplacedDoesNotJoinAgain) {
  EXPECT_FALSE(
      Next(Group({kOne, kThree, kFour}), {Admitted(kTwo), Admitted(kFour, kTwo)}).has_value());
}

TEST(MembersTest, WhoWasReplacedEverywhereIsRecordedAsRemoved) {
  const auto replaced = [](const std::vector<NodeRow>& nodes, std::vector<NodeId> members) {
    return Replaced(nodes, [&members](NodeId node) {
      return std::find(members.begin(), members.end(), node) != members.end();
    });
  };
  const std::vector<NodeRow> nodes = {Admitted(kFour, kTwo)};
  EXPECT_EQ(replaced(nodes, {kOne, kTwo, kThree}), std::nullopt);
  EXPECT_EQ(replaced(nodes, {kOne, kTwo, kThree, kFour}), std::nullopt);
  EXPECT_EQ(replaced(nodes, {kOne, kThree, kFour}), kTwo);
  EXPECT_EQ(replaced({Removed(kTwo), Admitted(kFour, kTwo)}, {kOne, kThree, kFour}), std::nullopt);
}

TEST(MembersTest, ALeaderThatIsReplacedHandsOverInBetween) {
  auto step = Next(Group({kOne, kTwo, kThree}, {kFour}), {Admitted(kFour, /*replaces=*/kOne)});
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->change.steps, (std::vector<ConfChangeStep>{{ConfChangeType::kAddVoter, kFour}}));
  step = Next(Group({kOne, kTwo, kThree, kFour}), {Admitted(kFour, kOne)});
  ASSERT_TRUE(step.has_value());
  EXPECT_TRUE(step->leave_first);
  raft::GroupStatus group = Group({kOne, kTwo, kThree, kFour});
  group.leader = kTwo;
  step = Next(group, {Admitted(kFour, kOne)}, kTwo);
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->change.steps, (std::vector<ConfChangeStep>{{ConfChangeType::kRemove, kOne}}));
}

TEST(MembersTest, OneChangeAtATime) {
  raft::GroupStatus group = Group({kOne, kTwo, kThree});
  group.voters_outgoing = {kOne, kTwo};
  EXPECT_FALSE(Next(group, {Admitted(kFour)}).has_value());
  group.voters_outgoing.clear();
  group.handing_over = true;
  EXPECT_FALSE(Next(group, {Admitted(kFour)}).has_value());
}

TEST(MembersTest, ARemovedNodeGoesWhereTheOthersAreAMajority) {
  raft::GroupStatus group = Group({kOne, kTwo, kThree});
  group.members[kThree].active = false;  // The one that goes may be dead.
  auto step = Next(group, {Removed(kThree)});
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->change.steps, (std::vector<ConfChangeStep>{{ConfChangeType::kRemove, kThree}}));
  EXPECT_FALSE(Next(group, {Removed(kThree)}, kOne, /*may_leave=*/false).has_value());
  group.members[kTwo].active = false;
  EXPECT_FALSE(Next(group, {Removed(kThree)}).has_value());
}

TEST(MembersTest, ALearnerThatIsRemovedJustGoes) {
  const auto step = Next(Group({kOne, kTwo, kThree}, {kFour}), {Removed(kFour)});
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->change.steps, (std::vector<ConfChangeStep>{{ConfChangeType::kRemove, kFour}}));
}

// Node 5 takes the place of node 4 before that one has taken node 1's everywhere: where node 4 came
// too late, node 1 goes, or it would stay in some groups and belong to none of the others for ever.
TEST(MembersTest, WhoTakesAnothersPlaceTakesTheOneThatItWasToTake) {
  const std::vector<NodeRow> nodes = {Admitted(kFour, kOne), Admitted(kFive, kFour)};
  raft::GroupStatus late = Group({kOne, kTwo, kThree}, {kFour, kFive});
  late.leader = kTwo;
  late.members[kFour].active = false;
  const auto step = Next(late, nodes, kTwo);
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->change.steps, (std::vector<ConfChangeStep>{{ConfChangeType::kAddVoter, kFive},
                                                             {ConfChangeType::kRemove, kOne}}));
  const auto swap = Next(Group({kTwo, kThree, kFour}, {kFive}), nodes, kTwo);
  ASSERT_TRUE(swap.has_value());
  EXPECT_EQ(swap->change.steps, (std::vector<ConfChangeStep>{{ConfChangeType::kAddVoter, kFive},
                                                             {ConfChangeType::kRemove, kFour}}));
}

TEST(MembersTest, WhosePlaceWasTakenInTheEndGoesToo) {
  const std::vector<NodeRow> nodes = {Admitted(kFour, kOne), Admitted(kFive, kFour)};
  raft::GroupStatus group = Group({kOne, kTwo, kThree, kFive}, {kFour});
  group.leader = kTwo;
  auto step = Next(group, nodes, kTwo);
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->change.steps, (std::vector<ConfChangeStep>{{ConfChangeType::kRemove, kFour}}));
  group = Group({kOne, kTwo, kThree, kFive});
  group.leader = kTwo;
  step = Next(group, nodes, kTwo);
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->change.steps, (std::vector<ConfChangeStep>{{ConfChangeType::kRemove, kOne}}));
}

TEST(MembersTest, OfAChainTheOldestIsRecordedFirst) {
  const auto replaced = [](const std::vector<NodeRow>& nodes, std::vector<NodeId> members) {
    return Replaced(nodes, [&members](NodeId node) {
      return std::find(members.begin(), members.end(), node) != members.end();
    });
  };
  std::vector<NodeRow> nodes = {Admitted(kFour, kOne), Admitted(kFive, kFour)};
  // Node 4 can't be recorded while node 1 is there: see IsReplacing().
  EXPECT_EQ(replaced(nodes, {kOne, kTwo, kThree, kFive}), std::nullopt);
  EXPECT_EQ(replaced(nodes, {kTwo, kThree, kFive}), kOne);
  nodes.push_back(Removed(kOne));
  EXPECT_EQ(replaced(nodes, {kTwo, kThree, kFive}), kFour);
  nodes[0].removed = true;
  EXPECT_EQ(replaced(nodes, {kTwo, kThree, kFive}), std::nullopt);
}

TEST(MembersTest, WhatWouldBreakTheMajorityIsRefusedWithTheReason) {
  const auto all = [](NodeId) { return true; };
  const auto not_two = [](NodeId node) { return node != kTwo; };
  EXPECT_TRUE(MayRemove(kThree, {kOne, kTwo, kThree}, all).ok());
  EXPECT_TRUE(MayRemove(kTwo, {kOne, kTwo, kThree}, not_two).ok());
  EXPECT_EQ(MayRemove(kThree, {kOne, kTwo, kThree}, not_two).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(MayRemove(kTwo, {kOne, kTwo}, all).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(MayRemove(kFour, {kOne, kTwo, kThree}, all).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace holdfast::node
