// Commands. What decodes encodes to the same again; and whatever a list of commands says, the queue
// takes or refuses it without falling over, and its rows stay consistent.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "proto/command.pb.h"
#include "queue/state/command_codec.h"
#include "queue/state/invariants.h"
#include "queue/state/memory_tables.h"
#include "queue/state/queue_state.h"

namespace holdfast::queue {
namespace {

constexpr size_t kCommandsMax = 64;
constexpr uint32_t kBodies = 2;

void CheckCodec(const command::Command& command) {
  absl::StatusOr<std::string> bytes = EncodeCommand(command);
  HOLDFAST_CHECK(bytes.ok()) << bytes.status();
  absl::StatusOr<command::Command> again = DecodeCommand(*bytes);
  HOLDFAST_CHECK(again.ok()) << again.status();
  HOLDFAST_CHECK(again->SerializeAsString() == command.SerializeAsString());
}

// The input as commands, each behind two bytes of length.
void RunCommands(std::string_view bytes) {
  QueueState state;
  MemoryTables tables;
  for (uint64_t index = 1; index <= kCommandsMax && bytes.size() >= 2; ++index) {
    const size_t size =
        static_cast<unsigned char>(bytes[0]) << 8 | static_cast<unsigned char>(bytes[1]);
    bytes.remove_prefix(2);
    absl::StatusOr<command::Command> command = DecodeCommand(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
    if (!command.ok()) continue;
    std::vector<BodyRef> bodies;
    for (uint32_t i = 0; i < kBodies; ++i) bodies.push_back({index, 1, i, 10, i});
    (void)state.Apply(index, 1, *command, bodies, tables);  // Any verdict will do.
    const std::vector<std::string> findings = CheckInvariants(tables);
    HOLDFAST_CHECK(findings.empty()) << findings.front();
  }
}

}  // namespace
}  // namespace holdfast::queue

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<holdfast::command::Command> command = holdfast::queue::DecodeCommand(bytes);
  if (command.ok()) holdfast::queue::CheckCodec(*command);
  holdfast::queue::RunCommands(bytes);
  return 0;
}
