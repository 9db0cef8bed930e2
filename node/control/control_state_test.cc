#include "node/control/control_state.h"

#include <gtest/gtest.h>

#include "proto/command.pb.h"

namespace holdfast::node {
namespace {

command::Command SetPolicy(uint64_t expected_version, const std::string& text) {
  command::Command command;
  command.set_format(1);
  command::SetPolicy* const set = command.mutable_set_policy();
  set->set_expected_version(expected_version);
  set->set_policy_text(text);
  set->set_actor("local:alice");
  set->set_comment("because " + text);
  set->set_stamped_us(1000 + static_cast<int64_t>(expected_version));
  return command;
}

command::Command Audit(const std::string& verb) {
  command::Command command;
  command.set_format(1);
  command.mutable_audit()->set_actor("local:bob");
  command.mutable_audit()->set_verb(verb);
  command.mutable_audit()->set_reason("spam");
  command.mutable_audit()->set_detail("3 messages");
  command.mutable_audit()->set_stamped_us(77);
  return command;
}

TEST(ControlStateTest, StartsAtVersionZeroWithNothingInIt) {
  MemoryControlTables tables;
  ControlState state(tables);
  EXPECT_EQ(state.CurrentPolicyVersion(), 0u);
  EXPECT_FALSE(state.FindPolicy(0).has_value());
  EXPECT_TRUE(state.PolicyHistory(10).empty());
  EXPECT_TRUE(state.AuditTrail(0, 10).empty());
}

TEST(ControlStateTest, APolicyBecomesTheNextVersionAndIsAudited) {
  MemoryControlTables tables;
  ControlState state(tables);
  const ControlResult result = state.Apply(SetPolicy(0, "one"), 5);
  EXPECT_EQ(result.verdict, ControlVerdict::kApplied);
  EXPECT_TRUE(result.policy_changed);
  EXPECT_EQ(result.policy_version, 1u);
  state.Apply(SetPolicy(1, "two"), 6);

  EXPECT_EQ(state.CurrentPolicyVersion(), 2u);
  EXPECT_EQ(state.FindPolicy(1)->text, "one");
  EXPECT_EQ(state.FindPolicy(2)->text, "two");
  EXPECT_FALSE(state.FindPolicy(3).has_value());
  const auto history = state.PolicyHistory(10);
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[0].version, 2u);
  EXPECT_EQ(history[0].comment, "because two");
  EXPECT_EQ(history[1].stamped_us, 1000);
  EXPECT_EQ(history[1].actor, "local:alice");
  EXPECT_TRUE(history[1].text.empty());
  const auto audit = state.AuditTrail(0, 10);
  ASSERT_EQ(audit.size(), 2u);
  EXPECT_EQ(audit[1].verb, "policy apply");
  EXPECT_EQ(audit[1].detail, "version 2");
  EXPECT_EQ(audit[1].index, 6);
}

TEST(ControlStateTest, AConflictChangesNothing) {
  MemoryControlTables tables;
  ControlState state(tables);
  state.Apply(SetPolicy(0, "one"), 1);
  const auto before = tables.rows();
  const ControlResult result = state.Apply(SetPolicy(0, "late"), 2);
  EXPECT_EQ(result.verdict, ControlVerdict::kConflict);
  EXPECT_EQ(result.policy_version, 1u);
  EXPECT_FALSE(result.policy_changed);
  EXPECT_EQ(state.Apply(SetPolicy(7, "early"), 3).verdict, ControlVerdict::kConflict);
  EXPECT_EQ(tables.rows(), before);
}

TEST(ControlStateTest, ATextOverTheBoundIsAVerdictLikeAnyOther) {
  MemoryControlTables tables;
  ControlState state(tables, ControlOptions{.policy_bytes_max = 3});
  EXPECT_EQ(state.Apply(SetPolicy(0, "long"), 1).verdict, ControlVerdict::kTooLarge);
  EXPECT_TRUE(tables.rows().empty());
  EXPECT_EQ(state.Apply(SetPolicy(0, "fit"), 2).verdict, ControlVerdict::kApplied);
}

TEST(ControlStateTest, HistoryAndAuditTrailStayWithinTheirBounds) {
  MemoryControlTables tables;
  const ControlOptions options{.policy_versions_max = 3, .audit_lines_max = 5};
  ControlState state(tables, options);
  for (uint64_t i = 0; i < 20; ++i) state.Apply(SetPolicy(i, "p"), static_cast<int64_t>(i));
  EXPECT_EQ(state.PolicyHistory(100).size(), 3u);
  EXPECT_EQ(state.PolicyHistory(2).size(), 2u);
  EXPECT_FALSE(state.FindPolicy(17).has_value());
  EXPECT_TRUE(state.FindPolicy(18).has_value());
  const auto audit = state.AuditTrail(0, 100);
  ASSERT_EQ(audit.size(), 5u);
  EXPECT_EQ(audit.front().number, 16u);
  EXPECT_EQ(audit.back().number, 20u);
  EXPECT_EQ(tables.rows().size(), 3u + 5u + 2u);
}

TEST(ControlStateTest, AuditLinesAreKeptInOrderAndReadInPages) {
  MemoryControlTables tables;
  ControlState state(tables);
  for (int i = 0; i < 300; ++i) state.Apply(Audit("verb " + std::to_string(i)), i);
  const auto page = state.AuditTrail(255, 3);
  ASSERT_EQ(page.size(), 3u);
  EXPECT_EQ(page[0].number, 255u);
  EXPECT_EQ(page[2].number, 257u);
  EXPECT_EQ(page[0].verb, "verb 254");
  EXPECT_EQ(page[0].reason, "spam");
  EXPECT_EQ(page[0].detail, "3 messages");
  EXPECT_EQ(page[0].actor, "local:bob");
  EXPECT_EQ(page[0].stamped_us, 77);
  EXPECT_TRUE(state.AuditTrail(301, 3).empty());
  EXPECT_TRUE(state.AuditTrail(0, 0).empty());
}

TEST(ControlStateTest, EqualHistoriesGiveEqualRows) {
  MemoryControlTables left;
  MemoryControlTables right;
  // The right one is reopened between commands, as after a restart.
  ControlState left_state(left);
  for (uint64_t i = 0; i < 50; ++i) {
    const command::Command command = i % 3 == 0 ? Audit("v") : SetPolicy(i % 5, "t");
    left_state.Apply(command, static_cast<int64_t>(i));
    ControlState(right).Apply(command, static_cast<int64_t>(i));
  }
  EXPECT_EQ(left.rows(), right.rows());
}

TEST(ControlStateTest, WhatANewerBuildWroteIsNotKnown) {
  EXPECT_TRUE(ControlState::Knows(SetPolicy(0, "x")));
  EXPECT_TRUE(ControlState::Knows(Audit("x")));
  EXPECT_FALSE(ControlState::Knows(command::Command()));

  command::Command newer_format = Audit("x");
  newer_format.set_format(2);
  EXPECT_FALSE(ControlState::Knows(newer_format));

  command::Command mail;
  mail.set_format(1);
  mail.mutable_retry()->add_queue_ids("x");
  EXPECT_FALSE(ControlState::Knows(mail)) << "queue commands have no place in the control group";

  // Field 99, of a kind that does not exist yet; and the same within a known kind.
  command::Command unknown_field;
  ASSERT_TRUE(unknown_field.ParseFromString(Audit("x").SerializeAsString() + "\x98\x06\x01"));
  EXPECT_FALSE(ControlState::Knows(unknown_field));
  command::Command unknown_inside = Audit("x");
  ASSERT_TRUE(unknown_inside.mutable_audit()->MergeFromString("\x98\x06\x01"));
  EXPECT_FALSE(ControlState::Knows(unknown_inside));
}

TEST(ControlStateDeathTest, ApplyingTheUnknownStopsTheNode) {
  MemoryControlTables tables;
  ControlState state(tables);
  EXPECT_DEATH(state.Apply(command::Command(), 9), "entry 9 was written by a newer build");
}

command::Command AddNode(uint64_t node, uint64_t replaces = 0) {
  command::Command command;
  command.set_format(1);
  command.mutable_add_node()->set_node_id(node);
  command.mutable_add_node()->set_address("host" + std::to_string(node) + ":7026");
  command.mutable_add_node()->set_replaces_node_id(replaces);
  command.mutable_add_node()->set_actor("local:carol");
  command.mutable_add_node()->set_reason("more disk");
  return command;
}

command::Command AdmitNode(uint64_t node, const std::string& token) {
  command::Command command;
  command.set_format(1);
  command.mutable_admit_node()->set_node_id(node);
  command.mutable_admit_node()->set_token(token);
  return command;
}

command::Command RemoveNode(uint64_t node) {
  command::Command command;
  command.set_format(1);
  command.mutable_remove_node()->set_node_id(node);
  command.mutable_remove_node()->set_actor("local:carol");
  return command;
}

TEST(ControlNodesTest, ANodeIsAddedOnceAndAdmittedWithTheFirstDirectory) {
  MemoryControlTables tables;
  ControlState state(tables);
  EXPECT_EQ(state.Apply(AdmitNode(4, "a"), 1).verdict, ControlVerdict::kUnknownNode);
  EXPECT_TRUE(state.Nodes().empty());
  const ControlResult added = state.Apply(AddNode(4, 2), 2);
  EXPECT_EQ(added.verdict, ControlVerdict::kApplied);
  EXPECT_TRUE(added.nodes_changed);
  EXPECT_EQ(state.Nodes(), (std::vector<NodeRow>{{NodeId{4}, false, "host4:7026", NodeId{2}, ""}}));
  EXPECT_EQ(state.Apply(AddNode(4), 3).verdict, ControlVerdict::kKnownNode);
  EXPECT_EQ(state.Apply(AdmitNode(4, "a"), 4).verdict, ControlVerdict::kApplied);
  EXPECT_EQ(state.Apply(AdmitNode(4, "a"), 5).verdict, ControlVerdict::kApplied);
  EXPECT_EQ(state.Apply(AdmitNode(4, "b"), 6).verdict, ControlVerdict::kOtherToken);
  EXPECT_EQ(state.Nodes().front().token, "a");
}

TEST(ControlNodesTest, AnIdIsNeverUsedAgain) {
  MemoryControlTables tables;
  ControlState state(tables);
  state.Apply(AddNode(4), 1);
  EXPECT_EQ(state.Apply(RemoveNode(4), 2).verdict, ControlVerdict::kApplied);
  EXPECT_TRUE(state.Nodes().front().removed);
  EXPECT_EQ(state.Apply(AdmitNode(4, "a"), 3).verdict, ControlVerdict::kUnknownNode);
  EXPECT_EQ(state.Apply(AddNode(4), 4).verdict, ControlVerdict::kKnownNode);
  // A first node has no row until it leaves.
  EXPECT_EQ(state.Apply(RemoveNode(1), 5).verdict, ControlVerdict::kApplied);
  ASSERT_EQ(state.Nodes().size(), 2u);
  EXPECT_EQ(state.Nodes()[0].node, NodeId{1});
  EXPECT_EQ(state.Apply(AddNode(1), 6).verdict, ControlVerdict::kKnownNode);
}

// Node 4 was removed as soon as node 3 had left some groups for it, and before anybody had recorded
// that: node 3 was neither a member nor removed, for ever.
TEST(ControlNodesTest, WhoTakesAnothersPlaceIsReplacingUntilThatOneIsRecordedAsRemoved) {
  constexpr NodeId kThree{3};
  constexpr NodeId kFour{4};
  const NodeRow joined{kFour, false, "host:1", {}, "token"};
  NodeRow four = joined;
  EXPECT_FALSE(IsReplacing(kFour, {four}));
  EXPECT_FALSE(IsReplacing(kThree, {four}));
  four.replaces = kThree;
  EXPECT_TRUE(IsReplacing(kFour, {four}));
  EXPECT_TRUE(IsReplacing(kFour, {NodeRow{kThree, false, "host:1", {}, "token"}, four}));
  EXPECT_FALSE(IsReplacing(kFour, {NodeRow{kThree, true, "", {}, ""}, four}));
  // It has not begun yet.
  four.token.clear();
  EXPECT_FALSE(IsReplacing(kFour, {four}));
}

TEST(ControlNodesTest, PlacesAreFollowedThroughAChain) {
  const std::vector<NodeRow> rows = {{NodeId{4}, false, "host:1", NodeId{1}, "token"},
                                     {NodeId{5}, false, "host:1", NodeId{4}, "token"}};
  EXPECT_EQ(PlacesTakenBy(NodeId{5}, rows), (std::vector<NodeId>{NodeId{4}, NodeId{1}}));
  EXPECT_EQ(PlacesTakenBy(NodeId{4}, rows), (std::vector<NodeId>{NodeId{1}}));
  EXPECT_TRUE(PlacesTakenBy(NodeId{1}, rows).empty());
}

TEST(ControlNodesTest, WhoHasBegunToTakeAnothersPlaceIsNotRemoved) {
  MemoryControlTables tables;
  ControlState state(tables);
  state.Apply(AddNode(4, /*replaces=*/1), 1);
  state.Apply(AdmitNode(4, "a"), 2);
  EXPECT_EQ(state.Apply(RemoveNode(4), 3).verdict, ControlVerdict::kReplacing);
  EXPECT_FALSE(state.Nodes().front().removed);
  EXPECT_EQ(state.Apply(RemoveNode(1), 4).verdict, ControlVerdict::kApplied);
  EXPECT_EQ(state.Apply(RemoveNode(4), 5).verdict, ControlVerdict::kApplied);
  // Who was only added may be: nobody lets it in any more.
  state.Apply(AddNode(5, /*replaces=*/2), 6);
  EXPECT_EQ(state.Apply(RemoveNode(5), 7).verdict, ControlVerdict::kApplied);
  EXPECT_EQ(state.Apply(AdmitNode(5, "a"), 8).verdict, ControlVerdict::kUnknownNode);
}

// Two removals that were both decided while three could spare one.
TEST(ControlNodesTest, ARemovalThatWasDecidedByAnOlderListIsRefused) {
  MemoryControlTables tables;
  ControlState state(tables);
  command::Command first = RemoveNode(1);
  first.mutable_remove_node()->set_expected_list_version(1 + state.NodesVersion());
  command::Command second = RemoveNode(2);
  second.mutable_remove_node()->set_expected_list_version(1 + state.NodesVersion());
  EXPECT_EQ(state.Apply(first, 1).verdict, ControlVerdict::kApplied);
  EXPECT_EQ(state.Apply(second, 2).verdict, ControlVerdict::kListChanged);
  second.mutable_remove_node()->set_expected_list_version(1 + state.NodesVersion());
  EXPECT_EQ(state.Apply(second, 3).verdict, ControlVerdict::kApplied);
}

TEST(ControlNodesTest, WhoChangedTheMembersIsRecorded) {
  MemoryControlTables tables;
  ControlState state(tables);
  state.Apply(AddNode(4, 2), 1);
  state.Apply(AddNode(4, 2), 2);  // Refused: nothing to record.
  state.Apply(AdmitNode(4, "a"), 3);
  state.Apply(RemoveNode(2), 4);
  const auto trail = state.AuditTrail(0, 10);
  ASSERT_EQ(trail.size(), 2u);
  EXPECT_EQ(trail[0].verb, "cluster join");
  EXPECT_EQ(trail[0].detail, "node 4 at host4:7026 in the place of node 2");
  EXPECT_EQ(trail[0].actor, "local:carol");
  EXPECT_EQ(trail[1].verb, "cluster remove");
}

command::Command Raise(uint32_t expected, uint32_t level, uint64_t list_version = 0) {
  command::Command command;
  command.set_format(1);
  command::RaiseFeatureLevel& raise = *command.mutable_raise_feature_level();
  raise.set_expected_level(expected);
  raise.set_level(level);
  raise.set_actor("local:carol");
  raise.set_reason("all upgraded");
  raise.set_stamped_us(88);
  raise.set_expected_list_version(1 + list_version);
  return command;
}

TEST(ControlStateTest, TheFeatureLevelRisesFromTheExpectedOneAndIsAudited) {
  MemoryControlTables tables;
  ControlState state(tables);
  EXPECT_EQ(state.FeatureLevel(), 1u);
  EXPECT_TRUE(state.Raises(Raise(1, 3)));
  const ControlResult result = state.Apply(Raise(1, 3), 9);
  EXPECT_EQ(result.verdict, ControlVerdict::kApplied);
  EXPECT_TRUE(result.level_changed);
  EXPECT_FALSE(result.policy_changed || result.nodes_changed);
  EXPECT_EQ(state.FeatureLevel(), 3u);
  const auto audit = state.AuditTrail(0, 10);
  ASSERT_EQ(audit.size(), 1u);
  EXPECT_EQ(audit[0].verb, "cluster raise-level");
  EXPECT_EQ(audit[0].detail, "from 1 to 3");
  EXPECT_EQ(audit[0].actor, "local:carol");
  EXPECT_EQ(audit[0].reason, "all upgraded");
  EXPECT_EQ(audit[0].index, 9);
}

TEST(ControlStateTest, TheFeatureLevelNeverFallsAndNoRiseIsTakenTwice) {
  MemoryControlTables tables;
  ControlState state(tables);
  state.Apply(Raise(1, 2), 9);
  for (const auto& [expected, level] :
       {std::pair{1u, 2u}, {1u, 3u}, {2u, 2u}, {2u, 1u}, {3u, 4u}}) {
    EXPECT_FALSE(state.Raises(Raise(expected, level)));
    const ControlResult result = state.Apply(Raise(expected, level), 10);
    EXPECT_EQ(result.verdict, ControlVerdict::kOtherLevel) << expected << " " << level;
    EXPECT_FALSE(result.level_changed);
  }
  EXPECT_EQ(state.FeatureLevel(), 2u);
  EXPECT_EQ(state.AuditTrail(0, 10).size(), 1u) << "refusals leave no trace";
}

TEST(ControlStateTest, TheFeatureLevelStaysWhereSomebodyCameMeanwhile) {
  MemoryControlTables tables;
  ControlState state(tables);
  command::Command add;
  add.set_format(1);
  add.mutable_add_node()->set_node_id(4);
  add.mutable_add_node()->set_address("node4.test:7026");
  ASSERT_EQ(state.Apply(add, 8).verdict, ControlVerdict::kApplied);
  EXPECT_EQ(state.Apply(Raise(1, 2), 9).verdict, ControlVerdict::kOtherLevel);
  EXPECT_EQ(state.Apply(Raise(1, 2, state.NodesVersion()), 10).verdict, ControlVerdict::kApplied);
}

}  // namespace
}  // namespace holdfast::node
