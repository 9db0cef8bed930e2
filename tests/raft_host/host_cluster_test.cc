// Three GroupHosts on real stores: agreement, fail-over, reads, and bodies that need not travel.
#include "tests/raft_host/host_cluster.h"

#include <gtest/gtest.h>

namespace holdfast::raft {
namespace {

// Any two nodes but `one`.
std::vector<NodeId> Others(const HostCluster& cluster, NodeId one) {
  std::vector<NodeId> others;
  for (NodeId node : cluster.nodes()) {
    if (node != one) others.push_back(node);
  }
  return others;
}

TEST(HostClusterTest, ACommittedBodyIsOnEveryDiskAndItsRowOnEveryNode) {
  HostCluster cluster(3);
  const NodeId leader = cluster.AwaitLeader();
  const ProposeResult result = cluster.Propose(leader, "x", {"the body"});
  ASSERT_TRUE(result.status.ok()) << result.status;
  ASSERT_TRUE(cluster.RunUntil([&] {
    for (NodeId node : cluster.nodes()) {
      if (cluster.Row(node, "command x").empty()) return false;
    }
    return true;
  }));
  for (NodeId node : cluster.nodes()) {
    EXPECT_EQ(cluster.BodyAt(node, result.index, result.term), "the body");
  }
}

TEST(HostClusterTest, WhatWasAcknowledgedSurvivesTheLeader) {
  HostCluster cluster(3);
  const NodeId first = cluster.AwaitLeader();
  const ProposeResult result = cluster.Propose(first, "x", {"the body"});
  ASSERT_TRUE(result.status.ok());
  cluster.Crash(first);
  const NodeId second = cluster.AwaitLeader();
  EXPECT_NE(second, first);
  EXPECT_EQ(cluster.Row(second, "command x"), std::to_string(result.index));
  EXPECT_EQ(cluster.BodyAt(second, result.index, result.term), "the body");
  EXPECT_TRUE(cluster.Propose(second, "y").status.ok());
  cluster.Restart(first);
  EXPECT_TRUE(cluster.RunUntil([&] { return !cluster.Row(first, "command y").empty(); }));
}

TEST(HostClusterTest, ALeaderWithoutAMajorityGivesNoAnswerButUnknown) {
  HostCluster cluster(3);
  const NodeId leader = cluster.AwaitLeader();
  cluster.CutOff(leader);
  EXPECT_EQ(cluster.Propose(leader, "x").status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(HostClusterTest, ABodyThatEndedWhileAFollowerWasAwayIsNotSentToIt) {
  HostCluster cluster(3);
  const NodeId leader = cluster.AwaitLeader();
  const NodeId away = Others(cluster, leader)[0];
  const NodeId present = Others(cluster, leader)[1];
  cluster.CutOff(away);
  const ProposeResult ended = cluster.Propose(leader, "x", {"ended"});
  const ProposeResult kept = cluster.Propose(leader, "y", {"kept"});
  ASSERT_TRUE(
      cluster.Propose(leader, holdfast::format("end {} {}", ended.index, ended.term)).status.ok());
  // The leader has its newest entries in memory, with their bytes; a new leader reads its disk.
  ASSERT_TRUE(cluster.RunUntil([&] {
    return cluster.host(present).Status(kGroup)->applied ==
           cluster.host(leader).Status(kGroup)->applied;
  }));
  cluster.Crash(leader);
  cluster.Heal();
  ASSERT_EQ(cluster.AwaitLeader(), present);
  ASSERT_TRUE(cluster.RunUntil([&] {
    return cluster.Row(away, "command y") == std::to_string(kept.index) &&
           cluster.host(away).Status(kGroup)->applied >= kept.index + 1;
  }));
  EXPECT_EQ(cluster.BodyAt(away, ended.index, ended.term), "NOT_FOUND");
  EXPECT_EQ(cluster.BodyAt(away, kept.index, kept.term), "kept");
  EXPECT_GE(cluster.store(away).LoadGroup(kGroup)->elided_through, ended.index);
}

TEST(HostClusterTest, ABodyWhoseEndIsNotAppliedHereIsNeitherSentNorCalledEnded) {
  HostCluster cluster(3);
  const NodeId leader = cluster.AwaitLeader();
  ASSERT_TRUE(cluster.Propose(leader, "x").status.ok());
  Message message;
  message.type = MessageType::kAppend;
  message.entries.resize(1);
  message.entries[0].index = cluster.host(leader).Status(kGroup)->applied + 1;
  message.entries[0].term = 1;
  message.entries[0].bodies.push_back({.size = 4, .crc32c = 1});
  EXPECT_EQ(cluster.host(leader).FillBodies(kGroup, message).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(message.entries[0].bodies[0].elided_by, 0u);
}

TEST(HostClusterTest, AReadSeesWhatWasAcknowledgedBefore) {
  HostCluster cluster(3);
  const NodeId leader = cluster.AwaitLeader();
  const ProposeResult result = cluster.Propose(leader, "x");
  std::optional<absl::StatusOr<ReadPoint>> point;
  std::vector<LogIndex> confirmed;
  cluster.host(leader).Read(
      kGroup, [&](const absl::StatusOr<ReadPoint>& p) { point = p; },
      [&](const ReadPoint& p) {
        EXPECT_FALSE(point.has_value());
        confirmed.push_back(p.index);
      });
  ASSERT_TRUE(cluster.RunUntil([&] { return point.has_value(); }));
  ASSERT_TRUE(point->ok()) << point->status();
  EXPECT_GE((*point)->index, result.index);
  EXPECT_EQ(confirmed, std::vector<LogIndex>{(*point)->index});
}

TEST(HostClusterTest, AReadWithoutAMajorityIsNotAnswered) {
  HostCluster cluster(3);
  const NodeId leader = cluster.AwaitLeader();
  cluster.CutOff(leader);
  std::optional<absl::StatusOr<ReadPoint>> point;
  cluster.host(leader).Read(
      kGroup, [&](const absl::StatusOr<ReadPoint>& p) { point = p; },
      [](const ReadPoint&) { ADD_FAILURE() << "confirmed by nobody"; });
  ASSERT_TRUE(cluster.RunUntil([&] { return point.has_value(); }));
  // Without its followers the leader steps down before the read's own deadline.
  EXPECT_EQ(point->status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(HostClusterTest, AFollowersReadIsRefusedAtOnce) {
  HostCluster cluster(3);
  const NodeId follower = Others(cluster, cluster.AwaitLeader())[0];
  std::optional<absl::StatusOr<ReadPoint>> point;
  cluster.host(follower).Read(kGroup, [&](const absl::StatusOr<ReadPoint>& p) { point = p; });
  cluster.Settle();
  ASSERT_TRUE(point.has_value());
  EXPECT_EQ(point->status().code(), absl::StatusCode::kFailedPrecondition);
}

// A read point rests on followers that heard their leader and vote for nobody else for an election
// timeout. A follower that restarts has forgotten that it heard it.
TEST(HostClusterTest, ARestartedNodeWithholdsItsVoteForOneElectionTimeout) {
  HostCluster cluster(3);
  const NodeId leader = cluster.AwaitLeader();
  const std::vector<NodeId> others = Others(cluster, leader);
  const NodeId restarted = others[0];
  const NodeId candidate = others[1];
  const Term term = cluster.host(leader).Status(kGroup)->term;
  ASSERT_TRUE(cluster.Propose(leader, "x").status.ok());
  cluster.Crash(leader);
  // The candidate asks just before and just after the other one's election timeout has passed.
  for (int tick = 0; tick < 25; ++tick) cluster.Tick();
  cluster.Crash(restarted);
  cluster.Restart(restarted);
  uint64_t answers = 0;
  cluster.lose = [&](NodeId from, NodeId, const Message& message) {
    answers += from == restarted && (message.type == MessageType::kPreVoteResponse ||
                                     message.type == MessageType::kVoteResponse);
    return false;
  };
  for (int tick = 0; tick < 19; ++tick) cluster.Tick();
  EXPECT_EQ(answers, 0u);
  EXPECT_EQ(cluster.Leader(), kNoNode);
  EXPECT_NE(cluster.AwaitLeader(), kNoNode);
  EXPECT_GT(cluster.host(candidate).Status(kGroup)->term, term);
}

// It would come back as one that never heard anybody, and vote at once.
TEST(HostClusterTest, ANodeThatWroteNothingYetTellsNoLeaderThatItHearsIt) {
  HostCluster cluster(3);
  const NodeId slow{3};
  cluster.stalled_disk = slow;
  uint64_t told = 0;
  cluster.lose = [&](NodeId from, NodeId, const Message& message) {
    told += from == slow && message.type == MessageType::kHeartbeatResponse;
    return false;
  };
  const NodeId leader = cluster.AwaitLeader();
  for (int tick = 0; tick < 30; ++tick) cluster.Tick();
  EXPECT_EQ(cluster.host(slow).Status(kGroup)->leader, leader);
  EXPECT_EQ(told, 0u);
  cluster.stalled_disk = kNoNode;
  EXPECT_TRUE(cluster.RunUntil([&] { return told > 0 && cluster.InStep(slow, leader); }));
}

// It may have waited in front of a process that was stopped; all would vote for its receiver,
// whatever they promised to their leader since. Host seed 9202237.
TEST(HostClusterTest, ARequestToTakeOverThatComesLateIsNotHeeded) {
  HostCluster cluster(3);
  const NodeId first = cluster.AwaitLeader();
  const NodeId second = Others(cluster, first)[0];
  ASSERT_TRUE(cluster.Propose(first, "x").status.ok());
  const Term term = cluster.host(first).Status(kGroup)->term;
  std::optional<Message> late;
  cluster.lose = [&](NodeId, NodeId, const Message& message) {
    if (message.type != MessageType::kTimeoutNow) return false;
    late = message;
    return true;
  };
  cluster.host(first).TransferLeadership(kGroup, second);
  cluster.Settle();
  ASSERT_TRUE(late.has_value());
  ASSERT_TRUE(cluster.RunUntil([&] {
    const GroupStatus status = *cluster.host(first).Status(kGroup);
    EXPECT_TRUE(status.handing_over || !status.leading || status.term > term);
    return status.leading && !status.handing_over;
  }));
  cluster.lose = nullptr;
  const Term renewed = cluster.host(first).Status(kGroup)->term;
  EXPECT_EQ(renewed, term + 1);
  cluster.host(second).Receive(kGroup, *late);
  for (int tick = 0; tick < 5; ++tick) cluster.Tick();
  EXPECT_EQ(cluster.Leader(), first);
  EXPECT_EQ(cluster.host(second).Status(kGroup)->term, renewed);
  EXPECT_TRUE(cluster.Propose(first, "y").status.ok());
}

TEST(HostClusterTest, AHandOverMovesLeadershipAndIsVisibleWhileItLasts) {
  HostCluster cluster(3);
  const NodeId first = cluster.AwaitLeader();
  const NodeId second = Others(cluster, first)[0];
  ASSERT_TRUE(cluster.Propose(first, "x").status.ok());
  EXPECT_FALSE(cluster.host(first).Status(kGroup)->handing_over);
  cluster.lose = [](NodeId, NodeId, const Message& message) {
    return message.type == MessageType::kTimeoutNow;
  };
  cluster.host(first).TransferLeadership(kGroup, second);
  cluster.Settle();
  EXPECT_TRUE(cluster.host(first).Status(kGroup)->handing_over);
  EXPECT_TRUE(cluster.RunUntil([&] { return !cluster.host(first).Status(kGroup)->handing_over; }));
  cluster.lose = nullptr;
  cluster.host(first).TransferLeadership(kGroup, second);
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Leader() == second; }));
  EXPECT_EQ(cluster.machine(first).leads_in(), 0u);
}

TEST(HostClusterTest, ALeaderKnowsHowFarItsFollowersAre) {
  HostCluster cluster(3);
  const NodeId leader = cluster.AwaitLeader();
  const ProposeResult result = cluster.Propose(leader, "x");
  cluster.Tick();
  const GroupStatus status = *cluster.host(leader).Status(kGroup);
  ASSERT_EQ(status.members.size(), 3u);
  for (const auto& [node, member] : status.members) {
    EXPECT_EQ(member.match, result.index) << node;
    EXPECT_TRUE(member.active) << node;
  }
  EXPECT_EQ(status.voters, cluster.nodes());
}

TEST(HostClusterTest, AMemberIsActiveUntilItWasSilentForAnElectionTimeout) {
  HostCluster cluster(3);
  const NodeId leader = cluster.AwaitLeader();
  NodeId other;
  for (const NodeId node : cluster.nodes()) {
    if (node != leader) other = node;
  }
  const auto active = [&] { return cluster.host(leader).Status(kGroup)->members[other].active; };
  EXPECT_TRUE(cluster.RunUntil(active));
  // Across several checks of the quorum, each of which forgets whom the core heard from.
  for (int tick = 0; tick < 100; ++tick) {
    cluster.Tick();
    EXPECT_TRUE(active()) << "tick " << tick;
  }
  cluster.CutOff(other);
  EXPECT_TRUE(cluster.RunUntil([&] { return !active(); }, 60));
  cluster.Heal();
  EXPECT_TRUE(cluster.RunUntil(active, 60));
}

}  // namespace
}  // namespace holdfast::raft
