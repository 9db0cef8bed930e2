#include "node/peers/peer_calls.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

TEST(PeerCallsTest, AProposalArrivesAsItWasSent) {
  const raft::Proposal sent{
      "command",
      {std::make_shared<const std::string>("one"), std::make_shared<const std::string>("two")}};
  auto request = DecodeRequest(EncodeRequest(ProposeRequest(GroupId{7}, sent)));
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->propose().group(), 7u);
  const raft::Proposal got = TakeProposal(*request->mutable_propose());
  EXPECT_EQ(got.command, sent.command);
  ASSERT_EQ(got.bodies.size(), 2u);
  EXPECT_EQ(*got.bodies[1], "two");
}

TEST(PeerCallsTest, AVerdictArrivesWithItsIndex) {
  const auto answer =
      DecodeAnswer(EncodeAnswer(ProposedAnswer({absl::NotFoundError("gone"), 41, 6})));
  ASSERT_TRUE(answer.ok());
  const raft::ProposeResult result = ResultOf(answer->proposed());
  EXPECT_EQ(result.status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Message(result.status), "gone");
  EXPECT_EQ(result.index, 41u);
  EXPECT_EQ(result.term, 6u);
}

TEST(PeerCallsTest, WhatIsNotUnderstoodIsRefused) {
  EXPECT_EQ(DecodeRequest("\xff\xff").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeRequest("").status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(DecodeRequest(EncodeRequest({})).status().code(), absl::StatusCode::kUnimplemented);
  peer_call::Request newer;
  newer.mutable_beat();
  newer.set_format(2);
  EXPECT_EQ(DecodeRequest(newer.SerializeAsString()).status().code(),
            absl::StatusCode::kUnimplemented);
}

TEST(PeerCallsTest, BoundsHold) {
  peer_call::Request many;
  for (int i = 0; i <= kAttemptsPerQuestionMax; ++i) many.mutable_under_way()->add_attempt_ids(1);
  EXPECT_FALSE(DecodeRequest(EncodeRequest(many)).ok());
  peer_call::Request empty;
  empty.mutable_propose()->set_group(1);
  EXPECT_FALSE(DecodeRequest(EncodeRequest(empty)).ok());
  peer_call::Request bodies;
  bodies.mutable_propose()->set_command("c");
  for (int i = 0; i <= kBodiesPerProposalMax; ++i) bodies.mutable_propose()->add_bodies("b");
  EXPECT_FALSE(DecodeRequest(EncodeRequest(bodies)).ok());
  peer_call::Request token;
  token.mutable_forming()->set_token("short");
  EXPECT_FALSE(DecodeRequest(EncodeRequest(token)).ok());
  peer_call::Request text;
  text.mutable_beat()->set_hostname(std::string(kBeatTextBytesMax + 1, 'h'));
  EXPECT_FALSE(DecodeRequest(EncodeRequest(text)).ok());
  peer_call::Request shares;
  shares.mutable_shares()->add_asks()->set_destination(std::string(256, 'd'));
  EXPECT_FALSE(DecodeRequest(EncodeRequest(shares)).ok());
  shares.mutable_shares()->clear_asks();
  EXPECT_TRUE(DecodeRequest(EncodeRequest(shares)).ok());
  for (int i = 0; i <= kSharesPerCallMax; ++i) {
    shares.mutable_shares()->add_asks()->set_destination("d.test");
  }
  EXPECT_FALSE(DecodeRequest(EncodeRequest(shares)).ok());
  peer_call::Answer code;
  code.mutable_proposed()->set_code(17);
  EXPECT_FALSE(DecodeAnswer(EncodeAnswer(code)).ok());
}

TEST(PeerCallsTest, QuestionsAboutReplaysAreBounded) {
  peer_call::Request request;
  for (int i = 0; i < kFingerprintsPerQuestionMax; ++i) {
    request.mutable_did_you_see()->add_sha256(std::string(32, '\xFF'));
  }
  EXPECT_TRUE(DecodeRequest(EncodeRequest(request)).ok());
  request.mutable_did_you_see()->add_sha256(std::string(32, 'x'));
  EXPECT_TRUE(absl::IsInvalidArgument(DecodeRequest(EncodeRequest(request)).status()));
  request.mutable_did_you_see()->clear_sha256();
  request.mutable_did_you_see()->add_sha256("short");
  EXPECT_TRUE(absl::IsInvalidArgument(DecodeRequest(EncodeRequest(request)).status()));
  peer_call::Answer answer;
  answer.mutable_did_you_see()->add_seen()->set_group(3);
  EXPECT_TRUE(absl::IsInvalidArgument(DecodeAnswer(EncodeAnswer(answer)).status()));
  answer.mutable_did_you_see()->clear_seen();
  answer.mutable_did_you_see()->add_points()->set_group(3);
  EXPECT_TRUE(DecodeAnswer(EncodeAnswer(answer)).ok());
  answer.mutable_did_you_see()->add_points()->set_index(9);
  EXPECT_TRUE(absl::IsInvalidArgument(DecodeAnswer(EncodeAnswer(answer)).status()));
}

// The defaults of an empty message must not look like an accepted message.
TEST(PeerCallsTest, OkWithoutAPlaceInTheLogIsNoAnswer) {
  peer_call::Answer empty;
  empty.mutable_proposed();
  EXPECT_EQ(DecodeAnswer(EncodeAnswer(empty)).status().code(), absl::StatusCode::kInvalidArgument);
  empty.mutable_proposed()->set_index(1);
  EXPECT_TRUE(DecodeAnswer(EncodeAnswer(empty)).ok());
}

TEST(PeerCallsTest, AHelloSaysWhatTheOtherPromised) {
  peer_call::Hello hello;
  for (int i = 0; i < kGroupsPerHelloMax; ++i) {
    peer_call::Acknowledged& one = *hello.add_acknowledged();
    one.set_group(static_cast<uint32_t>(i));
    one.set_term(~uint64_t{0});
    one.set_index(~uint64_t{0});
  }
  const std::string bytes = EncodeHello(hello);
  EXPECT_LE(bytes.size(), size_t{64} << 10);  // What the transport carries.
  EXPECT_EQ(DecodeHello(bytes)->acknowledged_size(), kGroupsPerHelloMax);
  hello.add_acknowledged();
  EXPECT_EQ(DecodeHello(EncodeHello(hello)).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PeerCallsTest, AReadPointOfNothingIsMalformed) {
  peer_call::Request request;
  request.mutable_read_point()->set_group(3);
  EXPECT_EQ(DecodeRequest(EncodeRequest(request))->read_point().group(), 3u);
  peer_call::Answer answer;
  answer.mutable_read_point()->set_group(3);
  EXPECT_FALSE(DecodeAnswer(EncodeAnswer(answer)).ok());
  answer.mutable_read_point()->set_index(17);
  EXPECT_EQ(DecodeAnswer(EncodeAnswer(answer))->read_point().index(), 17u);
}

}  // namespace
}  // namespace holdfast::node
