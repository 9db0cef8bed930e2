#include "raft/core/raft_types.h"

namespace holdfast::raft {
namespace {

uint64_t VarintBytes(uint64_t value) {
  uint64_t bytes = 1;
  while (value >= 128) {
    value >>= 7;
    ++bytes;
  }
  return bytes;
}

// A tag, a length and so many bytes.
uint64_t FieldBytes(uint64_t length) { return 1 + VarintBytes(length) + length; }

template <typename SizeOf>
uint64_t Sum(const std::vector<Entry>& entries, SizeOf size_of) {
  uint64_t sum = 0;
  for (const Entry& entry : entries) sum += size_of(entry);
  return sum;
}

}  // namespace

uint64_t PayloadBytes(const Entry& entry) {
  uint64_t bytes = entry.command.size();
  for (const Payload& body : entry.bodies) bytes += body.size;
  return bytes;
}

uint64_t PayloadBytes(const std::vector<Entry>& entries) {
  return Sum(entries, [](const Entry& entry) { return PayloadBytes(entry); });
}

uint64_t EncodedBytes(const Entry& entry) {
  uint64_t bytes = 2 + 1 + VarintBytes(entry.term) + 1 + VarintBytes(entry.index);
  if (!entry.command.empty()) bytes += FieldBytes(entry.command.size());
  // A body is a message of its own: size and checksum, and the bytes.
  for (const Payload& body : entry.bodies) bytes += FieldBytes(FieldBytes(body.size) + 11);
  return bytes;
}

uint64_t EncodedBytes(const std::vector<Entry>& entries) {
  return Sum(entries, [](const Entry& entry) { return EncodedBytes(entry); });
}

bool IsLocalMessage(MessageType type) {
  return static_cast<uint8_t>(type) < static_cast<uint8_t>(MessageType::kPropose);
}

bool IsResponseMessage(MessageType type) {
  switch (type) {
    case MessageType::kAppendResponse:
    case MessageType::kVoteResponse:
    case MessageType::kHeartbeatResponse:
    case MessageType::kReadIndexResponse:
    case MessageType::kPreVoteResponse:
      return true;
    default:
      return false;
  }
}

}  // namespace holdfast::raft
