// ops/cli/new_file.h
// Writes files that must not be half there, nor replace another by mistake: the bytes go to a
// temporary file beside it, created exclusively, are synced, and then take the name at once.
// Threads: functions from any. Errors: kAlreadyExists: there is such a file, and it was left alone.
// kUnavailable: the system refused; the message has the path and the reason.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace holdfast::cli {

struct NewFileOptions {
  // 0600 whatever the umask, from its first byte on; else 0644.
  bool secret = false;
  bool replace = false;
};

absl::Status WriteNewFile(const std::string& path, std::string_view bytes,
                          const NewFileOptions& options);

// Makes the directory (0700) unless it is there. Its parent must be.
absl::Status MakeDirectory(const std::string& path);

bool FileExists(const std::string& path);

}  // namespace holdfast::cli
