// Bounds, back-pressure, shared frames, and that a large body doesn't hold heartbeats up.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "raft/transport/grpc_transport.h"
#include "tests/transport/recording_peer.h"

namespace holdfast::raft {
namespace {

// Node 2 sends to node 1, in plain text.
class GrpcFlowTest : public testing::Test {
 protected:
  void Connect(GrpcTransportOptions options) {
    receiver_ = StartTransport(LoopbackOptions(1, nullptr), receiving_);
    options.peers = {{NodeId(1), AddressOf(*receiver_)}};
    sender_ = StartTransport(options, sending_);
    ASSERT_TRUE(AwaitConnected(*sender_));
  }
  void TearDown() override {
    receiving_.ShutBulk(false);
    if (sender_ != nullptr) sender_->Stop();
    if (receiver_ != nullptr) receiver_->Stop();
  }
  PeerCounts Counts() const { return sender_->Counts().at(0); }

  RecordingPeer receiving_;
  RecordingPeer sending_;
  std::unique_ptr<GrpcTransport> receiver_;
  std::unique_ptr<GrpcTransport> sender_;
};

TEST_F(GrpcFlowTest, LargeBodyLeavesHeartbeatsFlowing) {
  Connect(LoopbackOptions(2, nullptr));
  // 25 MB of mail: three entries of 8 MiB and one of 1 MB. The receiver takes bulk messages only
  // one by one, each after a heartbeat that was sent while the rest was on its way.
  constexpr uint32_t kEntries = 4;
  receiving_.ShutBulk(true);
  for (uint32_t i = 1; i <= kEntries; ++i) {
    sender_->Send(NodeId(1), GroupId(1), AppendOf(i, i < kEntries ? 8u << 20 : 1'000'000));
  }
  // The bulk stream stands still, with an entry in the receiver's hands.
  constexpr uint64_t kHeartbeats = 100;
  for (uint64_t n = 1; n <= kHeartbeats; ++n) {
    sender_->Send(NodeId(1), GroupId(1), Heartbeat(n));
    ASSERT_TRUE(receiving_.AwaitReceived(n)) << "heartbeat " << n << " is stuck behind the mail";
  }
  // And while it moves.
  receiving_.ShutBulk(false);
  uint64_t sent = kHeartbeats;
  while (receiving_.received().back().message.type == MessageType::kHeartbeat) {
    sender_->Send(NodeId(1), GroupId(1), Heartbeat(++sent));
    ASSERT_TRUE(receiving_.AwaitReceived(sent));
  }
  sender_->Send(NodeId(1), GroupId(1), Heartbeat(++sent));
  ASSERT_TRUE(receiving_.AwaitReceived(sent + kEntries));
  std::vector<LogIndex> bodies;
  uint64_t before_last = 0;
  for (const Received& got : receiving_.received()) {
    if (got.message.entries.empty()) {
      if (bodies.size() < kEntries) ++before_last;
    } else {
      bodies.push_back(got.message.entries[0].index);
    }
  }
  EXPECT_EQ(bodies, (std::vector<LogIndex>{1, 2, 3, 4}));
  EXPECT_GE(before_last, kHeartbeats);
  EXPECT_EQ(Counts().control.dropped + Counts().bulk.dropped, 0u);
}

TEST_F(GrpcFlowTest, ReceiverThatDoesNotTakeStopsTheSender) {
  Connect(LoopbackOptions(2, nullptr));
  receiving_.ShutBulk(true);
  // More than sockets and windows of HTTP/2 hold: some of it must wait in the sender's queue.
  constexpr uint64_t kMessages = 60;
  for (uint64_t n = 1; n <= kMessages; ++n) {
    sender_->Send(NodeId(1), GroupId(1), AppendOf(n, 1u << 20));
  }
  const uint64_t waiting = Counts().bulk.queued_messages;
  EXPECT_GT(waiting, 0u);
  EXPECT_EQ(Counts().bulk.dropped, 0u);
  receiving_.ShutBulk(false);
  ASSERT_TRUE(receiving_.AwaitReceived(kMessages));
  EXPECT_EQ(Counts().bulk.dropped, 0u) << "it only waited";
  EXPECT_EQ(Counts().bulk.queued_bytes, 0u);
}

TEST_F(GrpcFlowTest, OverflowIsDroppedCountedAndTold) {
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.bulk_queue_bytes_max = uint64_t{3} << 20;
  options.bulk_queue_messages_max = 100;
  Connect(options);
  receiving_.ShutBulk(true);
  // Windows grow with use, up to some megabytes: so many messages can't all fit anywhere.
  uint64_t sent = 0;
  while (Counts().bulk.dropped < 50) {
    sender_->Send(NodeId(1), GroupId(1), AppendOf(++sent, 500'000));
    EXPECT_LE(Counts().bulk.queued_bytes, options.bulk_queue_bytes_max);
  }
  ASSERT_TRUE(sending_.AwaitUnreachable(NodeId(1)));
  const uint64_t dropped = Counts().bulk.dropped;
  receiving_.ShutBulk(false);
  ASSERT_TRUE(receiving_.AwaitReceived(sent - dropped));
  // Small ones are bounded by their number.
  receiving_.ShutBulk(true);
  while (Counts().bulk.dropped == dropped) {
    sender_->Send(NodeId(1), GroupId(1), AppendOf(++sent, 10'000));
    EXPECT_LE(Counts().bulk.queued_messages, options.bulk_queue_messages_max);
  }
}

TEST_F(GrpcFlowTest, GroupsShareFrames) {
  Connect(LoopbackOptions(2, nullptr));
  // 20000 heartbeats in frames of at most 4096: far fewer frames than messages, unless each one
  // found the link idle.
  receiving_.ShutBulk(true);
  constexpr uint64_t kGroups = 200;
  for (uint64_t group = 0; group < kGroups; ++group) {
    sender_->Send(NodeId(1), GroupId(static_cast<uint32_t>(group)), AppendOf(1, 100'000));
  }
  receiving_.ShutBulk(false);
  ASSERT_TRUE(receiving_.AwaitReceived(kGroups));
  ASSERT_TRUE(AwaitCounts(
      *sender_, [](const PeerCounts& counts) { return counts.bulk.messages == kGroups; }));
  // A frame is closed at 1 MiB, which is 11 of these.
  EXPECT_LT(Counts().bulk.frames, kGroups / 2);
  EXPECT_GE(Counts().bulk.frames, kGroups / 11);
}

TEST_F(GrpcFlowTest, MessageOverTheBoundIsDroppedAndTheStreamStands) {
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.message_bytes_max = 2'000'000;
  Connect(options);
  sender_->Send(NodeId(1), GroupId(1), AppendOf(1, 3'000'000));
  EXPECT_EQ(Counts().bulk.dropped, 1u);
  ASSERT_TRUE(sending_.AwaitUnreachable(NodeId(1)));
  sender_->Send(NodeId(1), GroupId(1), AppendOf(2, 1'000'000));
  ASSERT_TRUE(receiving_.AwaitReceived(1));
  EXPECT_EQ(Counts().bulk.connects, 1u);
}

TEST_F(GrpcFlowTest, MessageWhoseBodiesAreGoneIsDroppedAlone) {
  Connect(LoopbackOptions(2, nullptr));
  sender_->Send(NodeId(1), GroupId(1), AppendOf(1, 0));  // FillBodies() refuses it.
  sender_->Send(NodeId(1), GroupId(1), AppendOf(2, 10));
  ASSERT_TRUE(receiving_.AwaitReceived(1));
  EXPECT_EQ(receiving_.received()[0].message.entries[0].index, 2u);
  EXPECT_EQ(Counts().bulk.dropped, 1u);
  EXPECT_EQ(Counts().bulk.connects, 1u);
}

TEST_F(GrpcFlowTest, FrameThatIsNotTakenBreaksTheStream) {
  GrpcTransportOptions options = LoopbackOptions(2, nullptr);
  options.bulk_write_timeout = absl::Milliseconds(200);
  Connect(options);
  receiving_.ShutBulk(true);
  for (uint64_t n = 1; n <= 40; ++n) {
    sender_->Send(NodeId(1), GroupId(1), AppendOf(n, 1u << 20));
  }
  ASSERT_TRUE(sending_.AwaitUnreachable(NodeId(1)));
  ASSERT_TRUE(AwaitCounts(*sender_, [](const PeerCounts& counts) {
    return counts.bulk.dropped > 0 && counts.control.connected;
  }));
}

}  // namespace
}  // namespace holdfast::raft
