// node/config/small_file.h
// Small files beside the store that must be whole or absent after a crash.
// Threads: functions; one writer of a path at a time.
// Errors:  kUnavailable, with the path and the system's reason.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"

namespace holdfast::node {

inline constexpr size_t kSmallFileBytesMax = 16 << 10;

// In one piece, in the place of what was there, and on disk when this returns.
absl::Status WriteDurably(const std::string& path, const std::string& text);

// nullopt: no such file. A longer one than kSmallFileBytesMax is an error.
absl::StatusOr<std::optional<std::string>> ReadSmallFile(const std::string& path);

}  // namespace holdfast::node
