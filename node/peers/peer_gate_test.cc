#include "node/peers/peer_gate.h"

#include <gtest/gtest.h>

#include <optional>

#include "node/peers/peer_calls.h"

namespace holdfast::node {
namespace {

constexpr NodeId kPeer{2};

class PeerGateTest : public testing::Test {
 protected:
  absl::Status Hear(PeerGate& from) { return gate_.OnHello(kPeer, from.Hello(NodeId{1})); }
  std::optional<absl::StatusOr<std::string>> Ask(std::string request) {
    std::optional<absl::StatusOr<std::string>> got;
    gate_.OnCall(kPeer, std::move(request),
                 [&got](absl::StatusOr<std::string> answer) { got = std::move(answer); });
    return got;
  }
  static std::string Question() {
    peer_call::Request request;
    request.mutable_under_way()->set_group(3);
    return EncodeRequest(std::move(request));
  }

  ManualClock clock_{absl::FromUnixSeconds(1'000'000)};
  FeatureLevel level_{{1, 2}, [](const absl::Status&) {}};
  PeerGate gate_{TimingSettings{}, level_, clock_};
};

TEST_F(PeerGateTest, NodesThatAgreeTalk) {
  PeerGate other(TimingSettings{}, level_, clock_);
  EXPECT_TRUE(Hear(other).ok());
}

TEST_F(PeerGateTest, OtherTimersAreRefusedByName) {
  TimingSettings timing;
  timing.heartbeat = absl::Milliseconds(100);
  PeerGate other(timing, level_, clock_);
  const absl::Status refused = Hear(other);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(refused).find("heartbeat 100 ms"), std::string_view::npos) << refused;
}

TEST_F(PeerGateTest, AClockFarOffIsRefused) {
  ManualClock fast(absl::FromUnixSeconds(1'000'031));
  PeerGate other(TimingSettings{}, level_, fast);
  EXPECT_EQ(Hear(other).code(), absl::StatusCode::kFailedPrecondition);
  fast.JumpWall(-absl::Seconds(1));
  EXPECT_TRUE(Hear(other).ok());
}

TEST_F(PeerGateTest, AnotherIncarnationIsRefusedOnceBothHaveBegun) {
  PeerGate other(TimingSettings{}, level_, clock_);
  other.SetLife(/*begun=*/true, std::string(32, 'a'));
  EXPECT_TRUE(Hear(other).ok()) << "this node has not begun";
  gate_.SetLife(/*begun=*/true, "");
  const absl::Status refused = Hear(other);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(
      Message(refused).find("belongs to incarnation aaaaaaaa of this cluster, this node to 0"),
      std::string_view::npos)
      << refused;
  gate_.SetLife(/*begun=*/true, std::string(32, 'a'));
  EXPECT_TRUE(Hear(other).ok());
  other.SetLife(/*begun=*/true, "\x1b[2J");
  EXPECT_NE(Message(Hear(other)).find("(unreadable)"), std::string_view::npos);
  other.SetLife(/*begun=*/false, "");
  EXPECT_TRUE(Hear(other).ok()) << "the other node has not begun";
}

TEST_F(PeerGateTest, WhoDoesNotSpeakTheClustersLevelIsRefused) {
  const FeatureLevel old_build({1, 1}, [](const absl::Status&) {});
  const FeatureLevel new_build({2, 3}, [](const absl::Status&) {});
  PeerGate old_node(TimingSettings{}, old_build, clock_);
  PeerGate new_node(TimingSettings{}, new_build, clock_);
  EXPECT_TRUE(Hear(old_node).ok());
  EXPECT_TRUE(Hear(new_node).ok()) << "this node may lag";
  level_.Agree(2);
  const absl::Status too_old = Hear(old_node);
  EXPECT_EQ(too_old.code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(Message(too_old).find("node 2 speaks feature levels 1 to 1, and this cluster is at "
                                  "level 2"),
            std::string_view::npos)
      << too_old;
  EXPECT_TRUE(Hear(new_node).ok());
  EXPECT_EQ(gate_.OnHello(kPeer, "\xff").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PeerGateTest, WhoseConnectionWasThereBeforeTheRaiseIsNotHeardAfterIt) {
  int asked = 0;
  gate_.Serve(peer_call::Request::kUnderWay, [&asked](NodeId, peer_call::Request, auto reply) {
    ++asked;
    reply(peer_call::Answer());
  });
  const FeatureLevel old_build({1, 1}, [](const absl::Status&) {});
  PeerGate old_node(TimingSettings{}, old_build, clock_);
  ASSERT_TRUE(Hear(old_node).ok());
  EXPECT_TRUE(Ask(Question())->ok());
  level_.Agree(2);
  EXPECT_EQ(Ask(Question())->status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(asked, 1);
  PeerGate upgraded(TimingSettings{}, level_, clock_);
  ASSERT_TRUE(Hear(upgraded).ok());
  EXPECT_TRUE(Ask(Question())->ok());
}

TEST_F(PeerGateTest, ARefusedConnectionDoesNotSilenceTheOthers) {
  gate_.Serve(peer_call::Request::kUnderWay,
              [](NodeId, peer_call::Request, auto reply) { reply(peer_call::Answer()); });
  PeerGate upgraded(TimingSettings{}, level_, clock_);
  ASSERT_TRUE(Hear(upgraded).ok());
  level_.Agree(2);
  const FeatureLevel old_build({1, 1}, [](const absl::Status&) {});
  PeerGate copy(TimingSettings{}, old_build, clock_);
  EXPECT_EQ(Hear(copy).code(), absl::StatusCode::kUnimplemented);
  EXPECT_TRUE(Ask(Question())->ok());
}

TEST_F(PeerGateTest, ARemovedNodeIsRefused) {
  const std::string hello = gate_.Hello(kPeer);
  EXPECT_TRUE(gate_.OnHello(kPeer, hello).ok());
  gate_.SetRemoved({kPeer});
  const absl::Status refused = gate_.OnHello(kPeer, hello);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(refused).find("was removed"), std::string_view::npos);
  EXPECT_TRUE(gate_.OnHello(NodeId{kPeer.value() + 1}, hello).ok());
}

TEST_F(PeerGateTest, CallsFindTheirServer) {
  auto answer = Ask(Question());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status().code(), absl::StatusCode::kUnavailable);
  gate_.Serve(peer_call::Request::kUnderWay,
              [](NodeId peer, peer_call::Request request, auto reply) {
                EXPECT_EQ(peer, kPeer);
                peer_call::Answer back;
                back.mutable_under_way()->set_group(request.under_way().group());
                reply(std::move(back));
              });
  answer = Ask(Question());
  ASSERT_TRUE(answer.has_value() && answer->ok());
  EXPECT_EQ(DecodeAnswer(**answer)->under_way().group(), 3u);
  answer = Ask("\xff");
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PeerGateTest, MessagesBeforeTheHostAreDropped) {
  gate_.OnMessage(kPeer, GroupId{1}, raft::Message{});
  gate_.OnUnreachable(kPeer);
  raft::Message message;
  EXPECT_EQ(gate_.FillBodies(GroupId{1}, message).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(gate_.OpenFetch(kPeer, "x").status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace holdfast::node
