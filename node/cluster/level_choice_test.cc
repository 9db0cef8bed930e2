#include "node/cluster/level_choice.h"

#include <gtest/gtest.h>

#include "node/cluster/cluster_view.h"

namespace holdfast::node {
namespace {

SpokenLevels Member(uint64_t node, uint32_t min, uint32_t max) {
  return {NodeId{node}, true, {min, max}, "0.2.0"};
}

SpokenLevels Silent(uint64_t node) { return {NodeId{node}, false, {}, ""}; }

TEST(LevelChoiceTest, AsHighAsAllSpeak) {
  EXPECT_EQ(*ChooseLevel(1, 0, {Member(1, 1, 3), Member(2, 1, 2), Member(3, 2, 4)}), 2u);
  EXPECT_EQ(*ChooseLevel(1, 2, {Member(1, 1, 3), Member(2, 1, 3)}), 2u) << "not higher than asked";
  EXPECT_EQ(HighestSpoken(1, {Member(1, 1, 3), Member(2, 1, 2)}), 2u);
}

TEST(LevelChoiceTest, TheBuildThatIsTooOldIsNamed) {
  const auto refused = ChooseLevel(1, 2, {Member(1, 1, 2), Member(2, 1, 1)});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(refused.status())
                .find("node 2 runs version 0.2.0, which speaks feature levels "
                      "1 to 1"),
            std::string_view::npos)
      << refused.status();
}

TEST(LevelChoiceTest, ABuildThatHasForgottenTheLevelIsNamed) {
  const auto refused = ChooseLevel(1, 2, {Member(1, 1, 2), Member(2, 3, 4)});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(HighestSpoken(1, {Member(1, 1, 2), Member(2, 3, 4)}), 1u);
}

TEST(LevelChoiceTest, WhoIsNotHeardMightSpeakAnything) {
  const auto refused = ChooseLevel(1, 0, {Member(1, 1, 2), Silent(3)});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(refused.status()).find("node 3 is not heard"), std::string_view::npos);
  EXPECT_EQ(HighestSpoken(1, {Member(1, 1, 2), Silent(3)}), 1u);
}

TEST(LevelChoiceTest, WhatTheClusterSpeaksIsNoNews) {
  EXPECT_EQ(ChooseLevel(2, 2, {Member(1, 1, 3)}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ChooseLevel(2, 1, {Member(1, 1, 3)}).status().code(), absl::StatusCode::kAlreadyExists);
  const auto highest = ChooseLevel(2, 0, {Member(1, 1, 2), Member(2, 1, 3)});
  EXPECT_EQ(highest.status().code(), absl::StatusCode::kAlreadyExists);
}

class ToldPeers final : public Peers {
 public:
  bool alone() const override { return false; }
  void Tick() override {}
  void SetNodes(const std::vector<PeerChange>&) override {}
  std::vector<NodeId> nodes() const override { return {NodeId{1}, NodeId{2}, NodeId{3}}; }
  const BeatTable& beats() const override { return beats_; }
  void Hear(NodeId node, uint32_t max, absl::Duration at) {
    peer_call::Beat beat;
    beat.set_feature_level_min(1);
    beat.set_feature_level_max(max);
    beats_.Put(node, std::move(beat), at);
  }

 private:
  BeatTable beats_;
};

TEST(LevelChoiceTest, ABeatCountsWhileItIsYoung) {
  ToldPeers peers;
  peers.Hear(NodeId{2}, 2, absl::Seconds(10));
  const auto at = [&peers](absl::Duration now) {
    return WhatMembersSpeak(peers.nodes(), peers.beats(), NodeId{1}, {1, 3}, now);
  };
  const std::vector<SpokenLevels> members = at(absl::Seconds(11));
  ASSERT_EQ(members.size(), 3u);
  EXPECT_EQ(members[0].speaks.max, 3u);
  EXPECT_TRUE(members[1].heard);
  EXPECT_EQ(members[1].speaks.max, 2u);
  EXPECT_FALSE(members[2].heard) << "never";
  EXPECT_FALSE(at(absl::Seconds(10) + kSilentAfter)[1].heard);
}

TEST(LevelChoiceTest, WhoIsAboutToJoinOrVotesSomewhereIsAskedToo) {
  ToldPeers peers;
  raft::GroupStatus group;
  group.voters = {NodeId{1}, NodeId{6}};
  const std::vector<NodeRow> rows = {{NodeId{2}, true, "", {}, ""}, {NodeId{5}, false, "", {}, ""}};
  const std::vector<NodeId> wanted = {NodeId{1}, NodeId{2}, NodeId{3}, NodeId{5}, NodeId{6}};
  EXPECT_EQ(AllMembers(peers, rows, {group}), wanted) << "node 2 has not left yet";
}

}  // namespace
}  // namespace holdfast::node
