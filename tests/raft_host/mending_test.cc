// A body that is damaged on one node is fetched from the others.
#include <gtest/gtest.h>

#include "tests/raft_host/host_cluster.h"

namespace holdfast::raft {
namespace {

class MendingTest : public testing::Test {
 protected:
  explicit MendingTest(GroupHostOptions options = {}) : cluster_(3, options) {
    leader_ = cluster_.AwaitLeader();
    for (NodeId node : cluster_.nodes()) {
      if (node == leader_) continue;
      (damaged_ == kNoNode ? damaged_ : other_) = node;
    }
  }

  BodyRef Propose(const std::string& command, const std::string& body) {
    const ProposeResult result = cluster_.Propose(leader_, command, {body});
    EXPECT_TRUE(result.status.ok()) << result.status;
    const Payload payload = MakePayload(body);
    return {{kGroup, result.index, result.term, 0}, payload.size, payload.crc32c};
  }
  bool InStep(NodeId node) {
    return cluster_.RunUntil([&] { return cluster_.InStep(node, cluster_.AwaitLeader()); });
  }
  void DamageAt(NodeId node, const BodyRef& ref, BodyDamage damage = BodyDamage::kFlippedBit) {
    ASSERT_TRUE(InStep(node));
    cluster_.Crash(node);
    cluster_.Damage(node, ref.key.index, ref.key.term, damage);
    cluster_.Restart(node);
  }
  std::string BodyAt(NodeId node, const BodyRef& ref) {
    return cluster_.BodyAt(node, ref.key.index, ref.key.term);
  }
  // Of damaged_; the name of the code.
  std::string Mend(const BodyRef& ref, std::function<bool()> wanted = nullptr) {
    auto answer = std::make_shared<std::optional<absl::Status>>();
    cluster_.host(damaged_).MendBody(ref, std::move(wanted),
                                     [answer](const absl::Status& status) { *answer = status; });
    EXPECT_TRUE(cluster_.RunUntil([&] { return answer->has_value(); })) << "no answer";
    return absl::StatusCodeToString(answer->value_or(absl::OkStatus()).code());
  }

  HostCluster cluster_;
  NodeId leader_;
  NodeId damaged_ = kNoNode;
  NodeId other_;
};

TEST_F(MendingTest, ADamagedBodyIsFetchedAndStays) {
  const BodyRef ref = Propose("mail", "what was written");
  DamageAt(damaged_, ref);
  ASSERT_EQ(BodyAt(damaged_, ref), "DATA_LOSS");
  EXPECT_EQ(Mend(ref), "OK");
  EXPECT_EQ(BodyAt(damaged_, ref), "what was written");
  EXPECT_EQ(cluster_.host(damaged_).Mended().mended, 1u);
  cluster_.Crash(damaged_);
  cluster_.Restart(damaged_);
  EXPECT_EQ(BodyAt(damaged_, ref), "what was written");
}

TEST_F(MendingTest, AMissingBodyComesBackOnlyWhileItIsWanted) {
  const BodyRef ref = Propose("mail", "what was written");
  DamageAt(damaged_, ref, BodyDamage::kMissing);
  EXPECT_EQ(Mend(ref), "ABORTED");
  EXPECT_EQ(BodyAt(damaged_, ref), "NOT_FOUND");
  for (int tick = 0; tick < 150; ++tick) cluster_.Tick();  // The pause is over.
  EXPECT_EQ(Mend(ref, [] { return true; }), "OK");
  EXPECT_EQ(BodyAt(damaged_, ref), "what was written");
}

TEST_F(MendingTest, TheNextMemberIsAskedWhenTheFirstIsDamagedToo) {
  const BodyRef ref = Propose("mail", "what was written");
  DamageAt(damaged_, ref);
  ASSERT_TRUE(InStep(damaged_));
  DamageAt(leader_, ref);
  ASSERT_NE(cluster_.AwaitLeader(), kNoNode);
  EXPECT_EQ(Mend(ref), "OK");
  EXPECT_EQ(BodyAt(damaged_, ref), "what was written");
  // Being asked for it did not make the other one ask back.
  EXPECT_EQ(BodyAt(leader_, ref), "DATA_LOSS");
}

TEST_F(MendingTest, WhatNobodyHasIsLost) {
  const BodyRef ref = Propose("mail", "what was written");
  DamageAt(damaged_, ref);
  DamageAt(other_, ref, BodyDamage::kMissing);
  ASSERT_TRUE(InStep(other_));
  DamageAt(leader_, ref);
  ASSERT_TRUE(InStep(leader_) && InStep(damaged_) && InStep(other_));
  EXPECT_EQ(Mend(ref), "NOT_FOUND");
  EXPECT_EQ(BodyAt(damaged_, ref), "DATA_LOSS");
  EXPECT_EQ(cluster_.host(damaged_).Mended().lost, 1u);
}

TEST_F(MendingTest, ItIsNotLostWhileAMemberDoesNotAnswer) {
  const BodyRef ref = Propose("mail", "what was written");
  DamageAt(damaged_, ref);
  ASSERT_TRUE(InStep(damaged_));
  DamageAt(leader_, ref);
  ASSERT_NE(cluster_.AwaitLeader(), kNoNode);
  cluster_.Cut(damaged_, other_);
  EXPECT_EQ(Mend(ref), "UNAVAILABLE");
  // At once the same is said again without a question, later it is asked.
  cluster_.Heal();
  EXPECT_EQ(Mend(ref), "UNAVAILABLE");
  for (int tick = 0; tick < 150; ++tick) cluster_.Tick();
  EXPECT_EQ(Mend(ref), "OK");
}

// Bytes that are not those of the log's record help nobody.
TEST_F(MendingTest, AnotherBodyIsNotTaken) {
  BodyRef ref = Propose("mail", "what was written");
  DamageAt(damaged_, ref);
  ++ref.crc32c;
  EXPECT_EQ(Mend(ref), "NOT_FOUND");
  EXPECT_EQ(BodyAt(damaged_, ref), "DATA_LOSS");
}

// A leader that can't read what a follower lacks must not leave it behind for ever.
TEST_F(MendingTest, ALeaderMendsWhatItHasToSend) {
  cluster_.CutOff(other_);
  const BodyRef ref = Propose("mail", "what was written");
  DamageAt(damaged_, ref);
  ASSERT_TRUE(InStep(damaged_));
  cluster_.host(leader_).TransferLeadership(kGroup, damaged_);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Leader() == damaged_; }));
  cluster_.Heal();
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.InStep(other_, cluster_.Leader()); }));
  EXPECT_EQ(BodyAt(other_, ref), "what was written");
}

class MakingWayTest : public MendingTest {
 protected:
  // leader_ alone has an entry, whose body is of no use to it; nobody else may campaign. Returns
  // the entry's term.
  Term OneEntryTooMany(BodyDamage damage) {
    cluster_.lose = [](NodeId, NodeId, const Message& message) {
      return message.type == MessageType::kAppend;
    };
    const GroupStatus before = Status();
    const Body body = std::make_shared<const std::string>("what nobody else got");
    cluster_.host(leader_).Propose(kGroup, Proposal{"mail", {body}}, [](const ProposeResult&) {});
    EXPECT_TRUE(cluster_.RunUntil([&] { return Status().last == before.last + 1; }));
    cluster_.Settle();
    cluster_.Crash(leader_);
    cluster_.Damage(leader_, before.last + 1, before.term, damage);
    OthersMayCampaign(false);
    cluster_.lose = nullptr;
    cluster_.Restart(leader_);
    return before.term;
  }
  GroupStatus Status() { return *cluster_.host(leader_).Status(kGroup); }
  // leader_ led in a term above that one, and has resigned.
  bool MadeWay(Term above) {
    return cluster_.RunUntil([&] {
      const GroupStatus status = Status();
      return status.term > above && status.role == Role::kFollower && status.leader == kNoNode;
    });
  }
  void OthersMayCampaign(bool may) {
    for (const NodeId node : {damaged_, other_}) cluster_.host(node).SetMayCampaign(may);
  }
};

// Its log is the longest, so it wins each election that it stands for, and can't send what it has.
TEST_F(MakingWayTest, ALeaderMakesWayIfItCanNotSendWhatIsNotCommitted) {
  for (const BodyDamage damage : {BodyDamage::kFlippedBit, BodyDamage::kMissing}) {
    // It is elected, and its followers' answers show that they lack the entry.
    ASSERT_TRUE(MadeWay(OneEntryTooMany(damage)));
    OthersMayCampaign(true);
    ASSERT_TRUE(cluster_.RunUntil(
        [&] { return cluster_.Leader() == damaged_ || cluster_.Leader() == other_; }));
    const NodeId now = cluster_.Leader();
    const std::string command = damage == BodyDamage::kMissing ? "next" : "after it";
    ASSERT_TRUE(cluster_.Propose(now, command, {"a body"}).status.ok());
    ASSERT_TRUE(InStep(leader_));
    EXPECT_EQ(cluster_.Row(leader_, "command mail"), "");
    // It has what the others have, and may lead again.
    cluster_.host(now).TransferLeadership(kGroup, leader_);
    ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Leader() == leader_; }));
    ASSERT_TRUE(InStep(damaged_) && InStep(other_));
  }
}

TEST_F(MakingWayTest, WhoMadeWayWithholdsItsVoteWhileItsReadsMayHold) {
  ASSERT_TRUE(MadeWay(OneEntryTooMany(BodyDamage::kFlippedBit)));
  // Of a log that would get it.
  const Term term = Status().term;
  const auto votes = [&] {
    Message ask{.type = MessageType::kVote, .to = leader_, .from = other_, .term = term + 1};
    ask.log_term = term + 1;
    ask.index = 100;
    const uint64_t before = cluster_.sent(MessageType::kVoteResponse);
    cluster_.host(leader_).ReceiveAll({{kGroup, ask}});
    cluster_.Settle();
    return cluster_.sent(MessageType::kVoteResponse) > before;
  };
  EXPECT_FALSE(votes());
  for (int tick = 0; tick < 20; ++tick) cluster_.Tick();
  EXPECT_TRUE(votes());
}

TEST_F(MakingWayTest, ADrainedNodeDoesNotCampaignWhenItsTimeIsOver) {
  ASSERT_TRUE(MadeWay(OneEntryTooMany(BodyDamage::kFlippedBit)));
  cluster_.host(leader_).SetMayCampaign(true);  // As it may already: that does not end it.
  const auto stands = [&] { return Status().role != Role::kFollower; };
  EXPECT_FALSE(cluster_.RunUntil(stands, 80));
  cluster_.host(leader_).SetMayCampaign(false);
  EXPECT_FALSE(cluster_.RunUntil(stands, 200));
  cluster_.host(leader_).SetMayCampaign(true);
  EXPECT_TRUE(MadeWay(Status().term));
}

// Nobody else can lead without the entry: whoever stood back comes again, and finds who has it.
TEST_F(MakingWayTest, WhoMadeWayLeadsAgainWhenTheBodyCanBeFetched) {
  cluster_.lose = [this](NodeId, NodeId to, const Message& message) {
    return message.type == MessageType::kAppend && to == other_;
  };
  const BodyRef ref = Propose("mail", "what was written");  // By leader_ and damaged_.
  cluster_.Crash(leader_);
  cluster_.Damage(leader_, ref.key.index, ref.key.term);
  cluster_.Crash(damaged_);
  cluster_.lose = nullptr;
  cluster_.Restart(leader_);
  Term term = ref.key.term;
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(MadeWay(term)) << round;
    term = Status().term;
  }
  cluster_.Restart(damaged_);
  OthersMayCampaign(false);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.InStep(other_, leader_); }, 2000));
  EXPECT_EQ(cluster_.Leader(), leader_);
  EXPECT_EQ(cluster_.host(leader_).Mended().mended, 1u);
  EXPECT_EQ(BodyAt(other_, ref), "what was written");
}

class MendingSourceTest : public MendingTest {
 protected:
  static GroupHostOptions ShortLogs() {
    GroupHostOptions options;
    options.log_entries_kept = 8;
    options.snapshots.bytes_per_second = 0;
    return options;
  }
  MendingSourceTest() : MendingTest(ShortLogs()) {}
};

// The same for one who sends a snapshot; the entry is in nobody's log any more.
TEST_F(MendingSourceTest, ASourceOfASnapshotMendsWhatItHasToSend) {
  cluster_.CutOff(other_);
  const BodyRef ref = Propose("mail", "what was written");
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(cluster_.Propose(leader_, holdfast::format("more {}", i)).status.ok());
  }
  DamageAt(damaged_, ref);
  ASSERT_TRUE(InStep(damaged_));
  ASSERT_GT(cluster_.host(damaged_).Status(kGroup)->first, ref.key.index);
  cluster_.host(leader_).TransferLeadership(kGroup, damaged_);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Leader() == damaged_; }));
  cluster_.Heal();
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.InStep(other_, cluster_.Leader()); }, 2000));
  EXPECT_EQ(BodyAt(other_, ref), "what was written");
  EXPECT_EQ(BodyAt(damaged_, ref), "what was written");
}

}  // namespace
}  // namespace holdfast::raft
