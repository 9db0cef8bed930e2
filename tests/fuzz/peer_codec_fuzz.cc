// Frames of peers. What decodes has verified bodies and encodes to the same messages again, within
// the size that was promised for them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/crc32c.h"
#include "proto/peer.pb.h"
#include "raft/transport/peer_codec.h"

namespace holdfast::raft {
namespace {

std::string Encode(const std::vector<GroupMessage>& messages) {
  peer::Frame frame;
  frame.set_format(kPeerFormat);
  for (const GroupMessage& message : messages) {
    peer::Message* part = frame.add_messages();
    const absl::Status status = EncodeMessage(message.group, message.message, part);
    HOLDFAST_CHECK(status.ok()) << status;
    HOLDFAST_CHECK(part->ByteSizeLong() <= FrameBytes(message.message));
  }
  return frame.SerializeAsString();
}

void CheckBodies(const Message& message) {
  for (const Entry& entry : message.entries) {
    for (const Payload& body : entry.bodies) {
      HOLDFAST_CHECK((body.bytes == nullptr) == (body.elided_by != 0));
      if (body.bytes != nullptr) HOLDFAST_CHECK(Crc32c(*body.bytes) == body.crc32c);
    }
  }
}

}  // namespace
}  // namespace holdfast::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using holdfast::raft::DecodeFrameBytes;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto messages = DecodeFrameBytes(bytes);
  if (!messages.ok()) return 0;
  for (const auto& message : *messages) holdfast::raft::CheckBodies(message.message);
  const std::string once = holdfast::raft::Encode(*messages);
  const auto again = DecodeFrameBytes(once);
  HOLDFAST_CHECK(again.ok()) << again.status();
  HOLDFAST_CHECK(holdfast::raft::Encode(*again) == once);
  return 0;
}
