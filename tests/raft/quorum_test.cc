// Properties of majorities and of changes of the configuration, over many drawn cases.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "raft/core/confchange.h"
#include "raft/core/membership.h"
#include "raft/core/quorum.h"

namespace holdfast::raft_test {
namespace {

using raft::ConfChangeStep;
using raft::ConfChangeType;
using raft::JointQuorum;
using raft::LogIndex;
using raft::Membership;
using raft::MembershipChanger;
using raft::NodeSet;
using raft::VoteResult;

NodeSet DrawNodes(Random& luck, uint64_t most) {
  NodeSet nodes;
  for (uint64_t i = luck.Below(most + 1); i > 0; --i) nodes.insert(NodeId(luck.Between(1, most)));
  return nodes;
}

bool IsMajority(const NodeSet& some, const NodeSet& all) {
  size_t count = 0;
  for (NodeId node : all) count += some.contains(node) ? 1 : 0;
  return 2 * count > all.size();
}

// The definition, spelled out: the highest index that majorities of both halves have reached.
LogIndex SlowCommitted(const JointQuorum& quorum, const std::map<NodeId, LogIndex>& acked) {
  LogIndex best = 0;
  for (const auto& [node, candidate] : acked) {
    NodeSet reached;
    for (const auto& [other, index] : acked) {
      if (index >= candidate) reached.insert(other);
    }
    const bool in = quorum.incoming.empty() || IsMajority(reached, quorum.incoming);
    const bool out = quorum.outgoing.empty() || IsMajority(reached, quorum.outgoing);
    if (in && out) best = std::max(best, candidate);
  }
  return best;
}

TEST(QuorumTest, CommittedIndexIsWhatItsDefinitionSays) {
  Random luck(1);
  for (int i = 0; i < 20'000; ++i) {
    const JointQuorum quorum{DrawNodes(luck, 7), DrawNodes(luck, 7)};
    std::map<NodeId, LogIndex> acked;
    for (NodeId node : quorum.All()) {
      if (!luck.OneIn(4)) acked[node] = luck.Below(10);
    }
    if (quorum.All().empty()) {
      EXPECT_EQ(quorum.Committed(acked), ~LogIndex{0});
    } else {
      EXPECT_EQ(quorum.Committed(acked), SlowCommitted(quorum, acked));
    }
  }
}

TEST(QuorumTest, VotesAreWonByBothMajoritiesAndLostByEither) {
  Random luck(2);
  for (int i = 0; i < 20'000; ++i) {
    const JointQuorum quorum{DrawNodes(luck, 5), DrawNodes(luck, 5)};
    std::map<NodeId, bool> votes;
    NodeSet yes;
    NodeSet not_no;
    for (NodeId node : quorum.All()) {
      not_no.insert(node);
      if (luck.OneIn(3)) continue;
      votes[node] = luck.OneIn(2);
      if (votes[node]) {
        yes.insert(node);
      } else {
        not_no.erase(node);
      }
    }
    auto holds = [&quorum](const NodeSet& some) {
      return (quorum.incoming.empty() || IsMajority(some, quorum.incoming)) &&
             (quorum.outgoing.empty() || IsMajority(some, quorum.outgoing));
    };
    const VoteResult expected = holds(yes)      ? VoteResult::kWon
                                : holds(not_no) ? VoteResult::kPending
                                                : VoteResult::kLost;
    EXPECT_EQ(quorum.Count(votes), expected);
  }
}

std::vector<ConfChangeStep> DrawSteps(Random& luck) {
  std::vector<ConfChangeStep> steps;
  for (uint64_t i = luck.Between(1, 4); i > 0; --i) {
    steps.push_back({static_cast<ConfChangeType>(luck.Below(4)), NodeId(luck.Between(1, 6))});
  }
  return steps;
}

// The two ways to the same set of voters, and back through the stored form.
TEST(MembershipTest, EveryStepKeepsTheRulesAndCanBeStored) {
  Random luck(3);
  const MembershipChanger changer(10, {});
  for (int round = 0; round < 2'000; ++round) {
    Membership now;
    now = *changer.Simple(now, {{ConfChangeType::kAddVoter, NodeId(1)}});
    for (int i = 0; i < 12; ++i) {
      absl::StatusOr<Membership> next =
          luck.OneIn(3)   ? changer.LeaveJoint(now)
          : luck.OneIn(2) ? changer.EnterJoint(now, luck.OneIn(2), DrawSteps(luck))
                          : changer.Simple(now, DrawSteps(luck));
      if (!next.ok()) continue;
      ASSERT_TRUE(raft::CheckMembership(*next).ok());
      const absl::StatusOr<Membership> restored = changer.Restore(next->config.ToConfState());
      ASSERT_TRUE(restored.ok()) << holdfast::Message(restored.status());
      EXPECT_EQ(restored->config, next->config);
      now = *std::move(next);
    }
  }
}

// Any majority before a step and any after it have a member in common: that is what makes one step
// at a time safe (thesis 4.1, 4.3).
TEST(MembershipTest, QuorumsBeforeAndAfterAStepOverlap) {
  Random luck(4);
  const MembershipChanger changer(10, {});
  for (int round = 0; round < 3'000; ++round) {
    Membership now;
    for (uint64_t i = 1; i <= luck.Between(1, 4); ++i) {
      now = *changer.Simple(now, {{ConfChangeType::kAddVoter, NodeId(i)}});
    }
    if (luck.OneIn(2)) {
      if (auto joint = changer.EnterJoint(now, true, DrawSteps(luck)); joint.ok()) now = *joint;
    }
    const auto next = now.config.voters.joint() ? changer.LeaveJoint(now)
                      : luck.OneIn(2)           ? changer.EnterJoint(now, true, DrawSteps(luck))
                                                : changer.Simple(now, DrawSteps(luck));
    if (!next.ok()) continue;
    // Split everybody in two: both halves must not be quorums, one before and one after.
    for (int split = 0; split < 64; ++split) {
      std::map<NodeId, bool> before;
      std::map<NodeId, bool> after;
      for (uint64_t node = 1; node <= 6; ++node) {
        before[NodeId(node)] = (split >> (node - 1) & 1) != 0;
        after[NodeId(node)] = !before[NodeId(node)];
      }
      EXPECT_FALSE(now.config.voters.Count(before) == VoteResult::kWon &&
                   next->config.voters.Count(after) == VoteResult::kWon);
    }
  }
}

TEST(ConfChangeTest, EncodingCarriesEverything) {
  Random luck(5);
  for (int i = 0; i < 1'000; ++i) {
    raft::ConfChange change;
    change.steps = DrawSteps(luck);
    change.transition = static_cast<raft::ConfChangeTransition>(luck.Below(3));
    change.context = std::string(luck.Below(5), 'c');
    if (change.steps.size() == 1 && change.transition == raft::ConfChangeTransition::kAuto) {
      change.simple_form = luck.OneIn(2);
    }
    const raft::Entry entry = raft::EncodeConfChange(change);
    ASSERT_TRUE(raft::DecodeConfChange(entry).ok());
    EXPECT_EQ(*raft::DecodeConfChange(entry), change);
    // Cut anywhere, it is refused or something else, never read beyond its end.
    for (size_t cut = 0; cut < entry.command.size(); ++cut) {
      raft::Entry damaged = entry;
      damaged.command.resize(cut);
      const auto decoded = raft::DecodeConfChange(damaged);
      EXPECT_FALSE(decoded.ok() && *decoded == change);
    }
  }
  EXPECT_TRUE(raft::EncodeConfChange({}).command.empty());
}

}  // namespace
}  // namespace holdfast::raft_test
