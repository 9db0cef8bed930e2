// queue/state/command_codec.h
// Commands to bytes and back. What DecodeCommand() accepts is what this build can apply in full:
// anything else in a committed entry stops the node, because skipping it would fork the cluster.
// Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace holdfast::command {
class Command;
}

namespace holdfast::queue {

inline constexpr uint32_t kCommandFormat = 1;

// For proposers. Sets the format, and makes sure that DecodeCommand() will take the result:
// texts that are not UTF-8 (a remote's reply, a client's EHLO) have each wrong byte replaced by
// '?', except in addresses, envelope ids and destinations, where that is kInvalidArgument.
absl::StatusOr<std::string> EncodeCommand(command::Command command);

// kDataLoss: not a command at all. kUnimplemented: written by a newer build (format, kind, field or
// enumerator unknown here).
absl::StatusOr<command::Command> DecodeCommand(std::string_view bytes);

}  // namespace holdfast::queue
