#include "raft/transport/peer_codec.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "base/crc32c.h"
#include "proto/peer.pb.h"

namespace holdfast::raft {
namespace {

Payload Body(std::string bytes) {
  Payload body;
  body.size = static_cast<uint32_t>(bytes.size());
  body.crc32c = Crc32c(bytes);
  body.bytes = std::make_shared<const std::string>(std::move(bytes));
  return body;
}

Message Append() {
  Message message;
  message.type = MessageType::kAppend;
  message.to = NodeId(2);
  message.from = NodeId(1);
  message.term = 7;
  message.log_term = 6;
  message.index = 41;
  message.commit = 40;
  message.entries.push_back({42, 7, EntryType::kNormal, "command", {Body("one"), Body("")}});
  message.entries.push_back({43, 7, EntryType::kConfChange, "", {}});
  message.entries[0].bodies.push_back({nullptr, 5'000'000, 123, 41});
  return message;
}

peer::Frame FrameOf(const Message& message) {
  peer::Frame frame;
  frame.set_format(kPeerFormat);
  const absl::Status status = EncodeMessage(GroupId(9), message, frame.add_messages());
  EXPECT_TRUE(status.ok()) << status;
  return frame;
}

std::string Refusal(peer::Frame frame) {
  const auto decoded = DecodeFrame(&frame);
  return decoded.ok() ? "" : decoded.status().ToString();
}

TEST(PeerCodecTest, AppendComesBackWhole) {
  peer::Frame frame = FrameOf(Append());
  EXPECT_LE(frame.ByteSizeLong(), FrameBytes(Append()));
  const auto decoded = DecodeFrame(&frame);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->size(), 1u);
  EXPECT_EQ((*decoded)[0].group, GroupId(9));
  const Message& got = (*decoded)[0].message;
  const Message sent = Append();
  EXPECT_EQ(got.type, sent.type);
  EXPECT_EQ(got.to, sent.to);
  EXPECT_EQ(got.from, sent.from);
  EXPECT_EQ(got.term, sent.term);
  EXPECT_EQ(got.log_term, sent.log_term);
  EXPECT_EQ(got.index, sent.index);
  EXPECT_EQ(got.commit, sent.commit);
  EXPECT_EQ(got.entries, sent.entries);
  EXPECT_EQ(*got.entries[0].bodies[0].bytes, "one");
  ASSERT_NE(got.entries[0].bodies[1].bytes, nullptr) << "an empty body is there";
  EXPECT_EQ(got.entries[0].bodies[2].bytes, nullptr);
  EXPECT_EQ(got.entries[0].bodies[2].elided_by, 41u);
}

TEST(PeerCodecTest, EveryTypeBetweenNodesComesBack) {
  for (uint8_t type = 16; type <= kMessageTypeMax; ++type) {
    Message message;
    message.type = static_cast<MessageType>(type);
    message.reject = true;
    message.reject_hint = ~uint64_t{0};
    message.context = std::string("\0mark", 5);
    if (message.type == MessageType::kSnapshot) {
      message.snapshot = std::make_shared<const Snapshot>(
          Snapshot{5, 2, {{NodeId(1)}, {NodeId(2)}, {NodeId(3)}, {NodeId(4)}, true}, "handle"});
    }
    EXPECT_EQ(IsBulk(message), message.type == MessageType::kSnapshot);
    peer::Frame frame = FrameOf(message);
    EXPECT_LE(frame.ByteSizeLong(), FrameBytes(message));
    const auto decoded = DecodeFrame(&frame);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    const Message& got = (*decoded)[0].message;
    EXPECT_EQ(got.type, message.type);
    EXPECT_TRUE(got.reject);
    EXPECT_EQ(got.reject_hint, message.reject_hint);
    EXPECT_EQ(got.context, message.context);
    if (message.snapshot != nullptr) {
      EXPECT_EQ(*got.snapshot, *message.snapshot);
    }
  }
}

TEST(PeerCodecTest, UnknownTypesAndFormatsAreRefused) {
  peer::Frame frame = FrameOf(Append());
  frame.mutable_messages(0)->set_type(kMessageTypeMax + 1);
  EXPECT_EQ(Refusal(frame), "UNIMPLEMENTED: message of unknown type 30");
  frame.mutable_messages(0)->set_type(273);  // 17, had it been cut to a byte.
  EXPECT_EQ(Refusal(frame), "UNIMPLEMENTED: message of unknown type 273");
  frame = FrameOf(Append());
  frame.mutable_messages(0)->mutable_entries(0)->set_type(3);
  EXPECT_EQ(Refusal(frame), "UNIMPLEMENTED: entry of unknown type 3");
  frame = FrameOf(Append());
  frame.set_format(2);
  EXPECT_EQ(Refusal(frame), "UNIMPLEMENTED: frame of format 2, not 1");
  frame = FrameOf(Append());
  peer::Entry* entry = frame.mutable_messages(0)->mutable_entries(0);
  entry->GetReflection()->MutableUnknownFields(entry)->AddVarint(99, 1);
  EXPECT_EQ(Refusal(frame), "UNIMPLEMENTED: unknown field 99 in holdfast.peer.Entry");
}

TEST(PeerCodecTest, LocalMessagesAreRefusedBothWays) {
  Message local;
  peer::Message out;
  EXPECT_FALSE(EncodeMessage(GroupId(1), local, &out).ok());
  peer::Frame frame = FrameOf(Append());
  frame.mutable_messages(0)->set_type(0);
  EXPECT_EQ(Refusal(frame), "INVALID_ARGUMENT: message of local type 0");
}

TEST(PeerCodecTest, BodiesAreVerified) {
  peer::Frame frame = FrameOf(Append());
  peer::Body* body = frame.mutable_messages(0)->mutable_entries(0)->mutable_bodies(0);
  body->set_bytes("onE");
  EXPECT_EQ(Refusal(frame), "INVALID_ARGUMENT: a body of entry 42 does not match its checksum");
  body->set_bytes("on");
  EXPECT_EQ(Refusal(frame), "INVALID_ARGUMENT: a body of entry 42 has 2 bytes instead of 3");
  body->set_bytes("one");
  body->set_elided_by(40);
  EXPECT_EQ(Refusal(frame), "INVALID_ARGUMENT: an elided body of entry 42 has bytes");
}

TEST(PeerCodecTest, BodyThatWasNotFilledInIsNotSent) {
  Message message = Append();
  message.entries[0].bodies[0].bytes = nullptr;
  peer::Message out;
  EXPECT_EQ(holdfast::Message(EncodeMessage(GroupId(1), message, &out)),
            "a body of entry 42 has no bytes");
}

TEST(PeerCodecTest, PartsBelongToTheirTypes) {
  peer::Frame frame = FrameOf(Append());
  frame.mutable_messages(0)->set_type(static_cast<uint32_t>(MessageType::kHeartbeat));
  EXPECT_EQ(Refusal(frame), "INVALID_ARGUMENT: entries in a message of type 22");
  frame = FrameOf(Append());
  frame.mutable_messages(0)->mutable_snapshot()->set_index(4);
  EXPECT_EQ(Refusal(frame), "INVALID_ARGUMENT: message of type 17 with snapshot");
  frame = FrameOf(Append());
  frame.mutable_messages(0)->clear_entries();
  frame.mutable_messages(0)->set_type(static_cast<uint32_t>(MessageType::kSnapshot));
  EXPECT_EQ(Refusal(frame), "INVALID_ARGUMENT: message of type 21 without snapshot");
}

TEST(PeerCodecTest, BoundsAreKept) {
  peer::Frame frame = FrameOf(Append());
  frame.mutable_messages(0)->set_context(std::string(kContextBytesMax + 1, 'x'));
  EXPECT_EQ(Refusal(frame), "RESOURCE_EXHAUSTED: 4097 bytes of context, at most 4096 allowed");
  frame = FrameOf(Append());
  while (frame.messages_size() <= static_cast<int>(kFrameMessagesMax)) frame.add_messages();
  EXPECT_EQ(Refusal(frame), "RESOURCE_EXHAUSTED: 4097 messages, at most 4096 allowed");
  frame = FrameOf(Append());
  peer::Entry* entry = frame.mutable_messages(0)->mutable_entries(1);
  for (uint32_t i = 0; i <= kEntryBodiesMax; ++i) entry->add_bodies();
  EXPECT_EQ(Refusal(frame), "RESOURCE_EXHAUSTED: 1025 bodies, at most 1024 allowed");
  frame = FrameOf(Append());
  frame.mutable_messages(0)->mutable_entries(1)->set_command(std::string(kEntryBytesMax + 1, 'x'));
  EXPECT_EQ(Refusal(frame),
            "RESOURCE_EXHAUSTED: 9437185 bytes in an entry, at most 9437184 allowed");
}

TEST(PeerCodecTest, EveryCutAndEveryFlippedByteIsTakenOrRefused) {
  const std::string whole = FrameOf(Append()).SerializeAsString();
  for (size_t i = 0; i < whole.size(); ++i) {
    (void)DecodeFrameBytes(whole.substr(0, i));  // A cut may fall between fields.
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x55);
    (void)DecodeFrameBytes(flipped);  // Any verdict will do, but for a body's.
  }
  std::string flipped = whole;
  flipped[whole.find("one")] = 'O';
  EXPECT_FALSE(DecodeFrameBytes(flipped).ok());
  EXPECT_FALSE(DecodeFrameBytes("\xff").ok());
}

}  // namespace
}  // namespace holdfast::raft
