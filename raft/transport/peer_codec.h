// raft/transport/peer_codec.h
// Between raft::Message and its form on the wire (proto/peer.proto). What decodes encodes to the
// same again. A decoded message is well-formed: of a known type, with the parts that its type has,
// within bounds, and with bodies whose bytes match their checksums. Whether it makes sense to the
// group is for RaftCore to say.
// Threads: any. Pure.
// Errors:  kInvalidArgument: malformed, or a body doesn't match its checksum. kUnimplemented: a
//          format, field or type of a newer build. kResourceExhausted: over a bound.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "raft/core/raft_types.h"
#include "raft/transport/transport.h"

namespace holdfast::peer {
class Frame;
class Message;
}  // namespace holdfast::peer

namespace holdfast::raft {

inline constexpr uint32_t kPeerFormat = 1;
inline constexpr uint32_t kFrameMessagesMax = 4096;

// What a message may have. Sender and receiver hold to the same; the bytes of all of it together
// are bounded by GrpcTransportOptions::message_bytes_max.
inline constexpr uint32_t kMessageEntriesMax = 65'536;
inline constexpr uint32_t kEntryBodiesMax = 1024;
inline constexpr uint64_t kEntryBytesMax = uint64_t{9} << 20;  // Command and bodies: 8 MiB, 1 MiB.
inline constexpr uint64_t kContextBytesMax = uint64_t{4} << 10;
inline constexpr uint32_t kConfigurationNodesMax = 1024;  // Per list.

// True for what goes on the bulk stream: entries and snapshots.
bool IsBulk(const Message& message);

// At least the bytes that `message` takes in a frame once its bodies are filled in.
uint64_t FrameBytes(const Message& message);

// `out` must be empty. kInvalidArgument too for a message of a local type, and for one with a body
// that has neither bytes nor `elided_by`: that one wasn't filled in.
absl::Status EncodeMessage(GroupId group, const Message& message, peer::Message* out);

// Takes the bytes out of `frame`. All of its messages, or an error.
absl::StatusOr<std::vector<GroupMessage>> DecodeFrame(peer::Frame* frame);

// The same from bytes, for the fuzzer and tests; the transport gets parsed frames from gRPC.
absl::StatusOr<std::vector<GroupMessage>> DecodeFrameBytes(std::string_view bytes);

}  // namespace holdfast::raft
