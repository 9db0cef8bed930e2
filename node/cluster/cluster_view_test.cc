#include "node/cluster/cluster_view.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

peer_call::Beat BeatOf(uint64_t node, int64_t wall_us) {
  peer_call::Beat beat;
  beat.set_node_id(node);
  beat.set_hostname("mail" + std::to_string(node));
  beat.set_ready(true);
  beat.set_wall_time_us(wall_us);
  return beat;
}

raft::GroupStatus Group(uint32_t id, uint64_t leader) {
  raft::GroupStatus status;
  status.group = GroupId{id};
  status.leader = NodeId{leader};
  status.voters = {NodeId{1}, NodeId{2}, NodeId{3}};
  status.term = 5;
  status.commit = 100;
  return status;
}

ClusterFacts Facts() {
  ClusterFacts facts;
  facts.cluster_id = "trial";
  facts.self = NodeId{1};
  facts.nodes = {NodeId{1}, NodeId{2}, NodeId{3}};
  facts.address_of = [](NodeId node) { return "127.0.0.1:" + std::to_string(7100 + node.value()); };
  facts.messages_in = [](GroupId group) { return uint64_t{group.value()} * 10; };
  facts.state_version_in = [](GroupId group) { return group.value() + 1; };
  facts.level = 4;
  facts.level_possible = 5;
  facts.now = absl::Seconds(100);
  facts.own = BeatOf(1, 1'000'000'000);
  return facts;
}

TEST(ClusterViewTest, LeadersTellHowFarTheirFollowersAre) {
  ClusterFacts facts = Facts();
  peer_call::Beat two = BeatOf(2, 999'000'000);
  peer_call::LedGroup& led = *two.add_groups();
  led.set_group(2);
  led.set_last(120);
  for (uint64_t node = 1; node <= 3; ++node) {
    peer_call::Member& member = *led.add_members();
    member.set_node_id(node);
    member.set_match(node == 3 ? 70 : 120);
    member.set_active(node != 3);
  }
  facts.heard[NodeId{2}] = {two, absl::Seconds(99)};
  facts.groups = {Group(2, 2)};
  admin::ClusterStatusResponse response;
  FillClusterStatus(facts, &response);
  ASSERT_EQ(response.groups_size(), 1);
  const admin::ClusterGroup& group = response.groups(0);
  EXPECT_EQ(group.leader_node_id(), 2u);
  EXPECT_EQ(group.home_node_id(), 2u);
  EXPECT_EQ(group.messages(), 20u);
  EXPECT_EQ(group.state_version(), 3u);
  EXPECT_EQ(response.feature_level(), 4u);
  EXPECT_EQ(response.feature_level_possible(), 5u);
  ASSERT_EQ(group.members_size(), 3);
  EXPECT_EQ(group.members(0).entries_behind(), 0u);
  EXPECT_EQ(group.members(2).entries_behind(), 50u);
  EXPECT_FALSE(group.members(2).active());
  EXPECT_EQ(response.nodes(1).groups_led(), 1u);
  EXPECT_EQ(response.nodes(1).clock_ahead_ms(), 0);
}

TEST(ClusterViewTest, ANodeThatSaidNothingForAWhileIsSilentAndLeadsNothing) {
  ClusterFacts facts = Facts();
  peer_call::Beat two = BeatOf(2, 990'000'000);
  two.add_groups()->set_group(1);
  facts.heard[NodeId{2}] = {two, absl::Seconds(96)};
  facts.groups = {Group(1, 2)};
  admin::ClusterStatusResponse response;
  FillClusterStatus(facts, &response);
  EXPECT_EQ(response.nodes(0).state(), admin::UP);
  EXPECT_EQ(response.nodes(1).state(), admin::SILENT);
  EXPECT_EQ(response.nodes(1).heard_ms_ago(), 4000u);
  EXPECT_EQ(response.nodes(1).groups_led(), 0u);
  EXPECT_EQ(response.nodes(2).state(), admin::SILENT);
  EXPECT_FALSE(response.nodes(2).has_heard_ms_ago());
  EXPECT_EQ(response.groups(0).members_size(), 0);
}

TEST(ClusterViewTest, StatesAndClocksAreTold) {
  ClusterFacts facts = Facts();
  peer_call::Beat two = BeatOf(2, 1'006'000'000);
  two.set_draining(true);
  facts.heard[NodeId{2}] = {two, absl::Seconds(100)};
  peer_call::Beat three = BeatOf(3, 1'000'000'000);
  three.set_ready(false);
  three.set_not_ready_reason("disk");
  facts.heard[NodeId{3}] = {three, absl::Seconds(100)};
  admin::ClusterStatusResponse response;
  FillClusterStatus(facts, &response);
  EXPECT_EQ(response.nodes(1).state(), admin::DRAINING);
  EXPECT_EQ(response.nodes(1).clock_ahead_ms(), 6000);
  EXPECT_EQ(response.nodes(2).state(), admin::NOT_READY);
  EXPECT_EQ(response.nodes(2).not_ready_reason(), "disk");
}

}  // namespace
}  // namespace holdfast::node
