// node/peers/peer_calls.h
// The calls between nodes as bytes: what Transport::Call() carries and PeerHandler::OnCall() gets,
// and the host's part of a hello. See proto/peer_call.proto for what they mean.
// Threads: pure functions.
// Errors:  decoding: kInvalidArgument: not such a message, or over a bound of it; kUnimplemented:
//          of a format or a kind that this build does not know.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "proto/peer_call.pb.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

inline constexpr uint32_t kPeerCallFormat = 1;

inline constexpr int kAttemptsPerQuestionMax = 1000;
inline constexpr int kGroupsPerBeatMax = 4096;
inline constexpr int kGroupsPerHelloMax = 2048;  // A hello has at most 64 KiB.
inline constexpr int kKnownNodesMax = 64;
inline constexpr int kSharesPerCallMax = 4000;
inline constexpr int kBodiesPerProposalMax = 64;
inline constexpr size_t kBeatTextBytesMax = 512;
inline constexpr int kFingerprintsPerQuestionMax = 256;
// About half a megabyte.
inline constexpr int kSeenPerAnswerMax = 16'384;

// What a build says of a call that it does not know, with kUnimplemented. Whoever asks something
// new tells by it an older build from a refusal; it stays as it is.
inline constexpr std::string_view kUnknownCall = "a call of a kind that this build does not know";

std::string EncodeRequest(peer_call::Request request);
absl::StatusOr<peer_call::Request> DecodeRequest(std::string_view bytes);
std::string EncodeAnswer(peer_call::Answer answer);
absl::StatusOr<peer_call::Answer> DecodeAnswer(std::string_view bytes);

std::string EncodeHello(peer_call::Hello hello);
absl::StatusOr<peer_call::Hello> DecodeHello(std::string_view bytes);

// Copies command and bodies: what is sent has bytes of its own.
peer_call::Request ProposeRequest(GroupId group, const raft::Proposal& proposal);
// Takes the bytes out of `propose`.
raft::Proposal TakeProposal(peer_call::Propose& propose);
peer_call::Answer ProposedAnswer(const raft::ProposeResult& result);
raft::ProposeResult ResultOf(const peer_call::Proposed& proposed);

}  // namespace holdfast::node
