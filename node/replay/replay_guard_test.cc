// Two nodes with one queue group each, whose rows are a map; calls between them are function calls.
#include "node/replay/replay_guard.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "base/check.h"
#include "proto/command.pb.h"
#include "queue/state/command_codec.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(50);
constexpr raft::LogIndex kPoint = 20;

std::string Hash(char c) { return std::string(32, c); }

class ReplayGuardTest : public testing::Test {
 protected:
  ReplayGuardTest() {
    for (uint64_t id : {1, 2})
      guards_[NodeId{id}] =
          std::make_unique<ReplayGuard>(PartsOf(NodeId{id}), OptionsOf(NodeId{id}));
    Pass(absl::Seconds(1));
  }

  static ReplayGuardOptions OptionsOf(NodeId self) {
    ReplayGuardOptions options;
    options.questions.self = self;
    options.questions.queue_groups = 2;
    return options;
  }

  ReplayGuard::Parts PartsOf(NodeId self) {
    return {[this](GroupId group, raft::Proposal proposal, const raft::ProposeCallback& done) {
              Propose(group, proposal, done);
            },
            // Group n is led by node n.
            [this, self](GroupId group) {
              const NodeId leader{group.value()};
              return alive_[leader] ? KnownLeader{leader, leader == self} : KnownLeader{};
            },
            [this](GroupId group, const raft::ReadCallback& done, const raft::PointCallback& sees) {
              if (!slow_[NodeId{group.value()}]) return done(raft::ReadPoint{});
              sees(raft::ReadPoint{kPoint, {}});
              late_reads_.push_back(done);  // Not applied before long.
            },
            [] { return true; },
            [this](GroupId group, std::string_view sha256) { return Find(group, sha256); },
            [this, self](GroupId) { return applied_[self]; },
            [](const std::function<void()>& look) { look(); },
            [this](NodeId to, std::string request, absl::Duration, auto done) {
              CallNode(to, request, std::move(done));
            },
            [self] { return std::vector<NodeId>{NodeId{3 - self.value()}}; },
            [this] { ++beats_asked_; }, policy_, clock_};
  }

  void Propose(GroupId group, const raft::Proposal& proposal, const raft::ProposeCallback& done) {
    raft::ProposeResult result;
    if (!alive_[NodeId{group.value()}]) {
      result.status = absl::UnavailableError("nobody leads");
      return done(result);
    }
    const auto command = queue::DecodeCommand(proposal.command);
    HOLDFAST_CHECK(command.ok() && command->has_confirm());
    ++confirm_commands_;
    for (const command::Confirmed& message : command->confirm().messages()) {
      rows_[group].erase(message.sha256());
    }
    result.index = 7;
    done(result);
  }

  absl::StatusOr<std::optional<queue::QueueId>> Find(GroupId group, std::string_view sha256) {
    const auto found = rows_[group].find(std::string(sha256));
    if (found == rows_[group].end()) return std::optional<queue::QueueId>();
    return queue::QueueId::Parse(found->second);
  }

  void CallNode(NodeId to, const std::string& bytes,
                std::function<void(absl::StatusOr<std::string>)> done) {
    if (!alive_[to]) return done(absl::UnavailableError("not reached"));
    auto request = DecodeRequest(bytes);
    HOLDFAST_CHECK(request.ok()) << request.status();
    guards_[to]->Answer(request->did_you_see(), [done](peer_call::DidYouSee said) {
      peer_call::Answer answer;
      *answer.mutable_did_you_see() = std::move(said);
      done(EncodeAnswer(std::move(answer)));
    });
  }

  // Time passes, with beats and ticks.
  void Pass(absl::Duration time) {
    for (const absl::Duration end = clock_.SinceBoot() + time; clock_.SinceBoot() < end;) {
      clock_.Advance(kTick);
      for (auto& [node, guard] : guards_) {
        const NodeId other{3 - node.value()};
        if (!alive_[node]) continue;
        guard->Tick();
        if (!alive_[other]) continue;
        peer_call::Beat beat;
        beat.set_started_us(static_cast<int64_t>(other.value()));
        guards_[other]->AddToBeat(beat);
        guard->OnBeat(other, beat);
      }
    }
  }

  // Node `node` accepts a message into its own group.
  std::string Accept(NodeId node, const std::string& sha256) {
    const std::string id = queue::QueueId::FromParts(++given_, 1, 1).ToString();
    const GroupId group{static_cast<uint32_t>(node.value())};
    guards_[node]->Proposing({group, id}, sha256);
    rows_[group][sha256] = id;
    guards_[node]->Decided(id, absl::OkStatus());
    return id;
  }

  // What `node` is told about a submission, after a while.
  std::string AskAndPass(NodeId node, const std::string& sha256, absl::Duration time) {
    auto text = std::make_shared<std::string>("no answer yet");
    guards_[node]->Ask(sha256, [text](const absl::StatusOr<std::optional<SeenMessage>>& seen) {
      *text = !seen.ok() ? std::string(Message(seen.status())) : *seen ? (*seen)->queue_id : "new";
    });
    Pass(time);
    return *text;
  }

  // What `node` is told about a submission.
  std::string Ask(NodeId node, const std::string& sha256) {
    // It may be answered after this returns.
    auto text = std::make_shared<std::string>("no answer yet");
    guards_[node]->Ask(sha256, [text](const absl::StatusOr<std::optional<SeenMessage>>& seen) {
      *text = !seen.ok() ? std::string(Message(seen.status())) : *seen ? (*seen)->queue_id : "new";
    });
    return *text;
  }

  ManualClock clock_{absl::FromUnixSeconds(1'000'000)};
  PolicyHolder policy_;
  std::map<NodeId, bool> alive_{{NodeId{1}, true}, {NodeId{2}, true}};
  std::map<NodeId, bool> slow_;               // Its disk: it applies nothing for now.
  std::map<NodeId, raft::LogIndex> applied_;  // Of all groups.
  std::vector<raft::ReadCallback> late_reads_;
  std::map<GroupId, std::map<std::string, std::string>> rows_;
  uint64_t given_ = 0;
  int confirm_commands_ = 0;
  int beats_asked_ = 0;
  std::map<NodeId, std::unique_ptr<ReplayGuard>> guards_;
};

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};

TEST_F(ReplayGuardTest, WhatIsConfirmedIsToldToTheGroupInOneCommandAndNobodyAsks) {
  for (const char c : {'a', 'b', 'c'}) guards_[kOne]->Confirmed(Accept(kOne, Hash(c)));
  EXPECT_EQ(rows_[GroupId{1}].size(), 3u);
  Pass(absl::Seconds(1));
  EXPECT_EQ(confirm_commands_, 1);
  EXPECT_TRUE(rows_[GroupId{1}].empty());
  EXPECT_FALSE(guards_[kOne]->MustAsk());
  EXPECT_FALSE(guards_[kTwo]->MustAsk());
  EXPECT_EQ(beats_asked_, 0);
}

TEST_F(ReplayGuardTest, AConnectionThatBreaksIsToldToThePeersAndTheReplayIsFound) {
  const std::string id = Accept(kOne, Hash('a'));
  guards_[kOne]->Unconfirmed(id);
  EXPECT_EQ(beats_asked_, 1);
  Pass(kTick);
  EXPECT_TRUE(guards_[kOne]->MustAsk());
  ASSERT_TRUE(guards_[kTwo]->MustAsk());
  EXPECT_EQ(Ask(kTwo, Hash('a')), id);
  EXPECT_EQ(Ask(kTwo, Hash('b')), "new");
  // Now its client hears of it at the other node, and goes on there.
  guards_[kTwo]->Repeated({GroupId{1}, id}, Hash('a'));
  guards_[kTwo]->Confirmed(id);
  Pass(absl::Seconds(1));
  EXPECT_TRUE(rows_[GroupId{1}].empty());
  EXPECT_EQ(Ask(kTwo, Hash('a')), "new");
  Pass(absl::Minutes(15));
  EXPECT_FALSE(guards_[kTwo]->MustAsk());
}

// Between the client's next command and the Confirm in the group's log.
TEST_F(ReplayGuardTest, AConfirmedMessageIsNeverMatchedBeforeItsConfirmIsApplied) {
  const std::string id = Accept(kOne, Hash('a'));
  guards_[kOne]->Confirmed(id);
  ASSERT_EQ(rows_[GroupId{1}].size(), 1u);
  EXPECT_EQ(Ask(kOne, Hash('a')), "new");
  EXPECT_EQ(Ask(kTwo, Hash('a')), "new");
}

TEST_F(ReplayGuardTest, WithoutAllGroupsThereIsNoAnswer) {
  Accept(kOne, Hash('a'));
  alive_[kOne] = false;
  guards_[kTwo]->OnUnreachable(kOne);
  ASSERT_TRUE(guards_[kTwo]->MustAsk());
  std::optional<absl::Status> answer;
  guards_[kTwo]->Ask(Hash('a'), [&answer](const auto& seen) { answer = seen.status(); });
  EXPECT_FALSE(answer);
  Pass(absl::Seconds(6));
  ASSERT_TRUE(answer);
  EXPECT_TRUE(absl::IsUnavailable(*answer));
}

TEST_F(ReplayGuardTest, AnUnknownOutcomeIsUnsettledAndARefusalIsNot) {
  guards_[kOne]->Proposing({GroupId{1}, "01AAAAAAAAAAAAA1"}, Hash('a'));
  EXPECT_EQ(Ask(kTwo, Hash('a')), "no answer yet");  // It is being decided.
  guards_[kOne]->Decided("01AAAAAAAAAAAAA1", absl::UnavailableError("no leader"));
  Pass(absl::Seconds(6));
  EXPECT_FALSE(guards_[kTwo]->MustAsk());
  guards_[kOne]->Proposing({GroupId{1}, "01AAAAAAAAAAAAA2"}, Hash('b'));
  guards_[kOne]->Decided("01AAAAAAAAAAAAA2", absl::DeadlineExceededError("unknown"));
  Pass(kTick);
  EXPECT_TRUE(guards_[kTwo]->MustAsk());
}

TEST_F(ReplayGuardTest, WhatCouldNotBeConfirmedIsConfirmedLater) {
  guards_[kTwo]->Repeated({GroupId{1}, "01AAAAAAAAAAAAA1"}, Hash('a'));
  rows_[GroupId{1}][Hash('a')] = "01AAAAAAAAAAAAA1";
  alive_[kOne] = false;
  guards_[kTwo]->Confirmed("01AAAAAAAAAAAAA1");
  EXPECT_FALSE(guards_[kTwo]->FlushConfirms());
  EXPECT_EQ(rows_[GroupId{1}].size(), 1u);
  alive_[kOne] = true;
  EXPECT_FALSE(guards_[kTwo]->FlushConfirms());
  EXPECT_TRUE(guards_[kTwo]->FlushConfirms());
  EXPECT_TRUE(rows_[GroupId{1}].empty());
}

// What it is late with, others have committed and applied.
TEST_F(ReplayGuardTest, ALeaderWithASlowDiskDelaysNobodyForLong) {
  const std::string id = Accept(kOne, Hash('a'));
  slow_[kOne] = true;
  applied_[kTwo] = kPoint;
  const absl::Duration longest = ReplayGuardOptions().apply_max + kTick;
  EXPECT_EQ(AskAndPass(kTwo, Hash('a'), longest), id);
  EXPECT_EQ(AskAndPass(kTwo, Hash('b'), longest), "new");
}

// Its own rows say nothing before they are as far as the leader's would have to be.
TEST_F(ReplayGuardTest, RowsThatAreBehindAreNoAnswer) {
  const std::string id = Accept(kOne, Hash('a'));
  slow_[kOne] = true;
  applied_[kTwo] = kPoint - 1;
  EXPECT_EQ(AskAndPass(kTwo, Hash('b'), absl::Seconds(1)), "no answer yet");
  Pass(absl::Seconds(5));
  auto told = std::make_shared<std::string>();
  guards_[kTwo]->Ask(Hash('a'), [told](const absl::StatusOr<std::optional<SeenMessage>>& seen) {
    *told = seen.ok() && *seen ? (*seen)->queue_id : "nothing";
  });
  Pass(absl::Seconds(1));
  EXPECT_EQ(*told, "");
  applied_[kTwo] = kPoint;
  Pass(kTick);
  EXPECT_EQ(*told, id);
}

TEST_F(ReplayGuardTest, ARestartedNodeAsks) {
  EXPECT_FALSE(guards_[kOne]->MustAsk());
  guards_[kOne]->SetRestarted();
  EXPECT_TRUE(guards_[kOne]->MustAsk());
}

// Mail without a Message-ID is in nobody's way.
TEST_F(ReplayGuardTest, AMessageWithoutAFingerprintIsNotMissed) {
  guards_[kOne]->Confirmed("01AAAAAAAAAAAAA9");
  guards_[kOne]->Unconfirmed("01AAAAAAAAAAAAA9");
  EXPECT_FALSE(guards_[kOne]->MustAsk());
  EXPECT_TRUE(guards_[kOne]->FlushConfirms());
}

}  // namespace
}  // namespace holdfast::node
