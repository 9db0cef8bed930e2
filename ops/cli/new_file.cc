#include "ops/cli/new_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace holdfast::cli {
namespace {

using absl::StatusCode;

constexpr mode_t kSecretMode = 0600;
constexpr mode_t kPublicMode = 0644;
constexpr mode_t kDirectoryMode = 0700;

absl::Status Refused(std::string_view what, const std::string& path) {
  const int error = errno;
  return MakeStatus(StatusCode::kUnavailable, "cannot {} {}: {}", what, path, std::strerror(error));
}

absl::Status WriteAll(int file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Refused("write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(file) != 0) return Refused("sync", path);
  return absl::OkStatus();
}

// Gives the temporary file its name.
absl::Status Publish(const std::string& temporary, const std::string& path, bool replace) {
  if (replace) {
    if (rename(temporary.c_str(), path.c_str()) != 0) return Refused("replace", path);
    return absl::OkStatus();
  }
  if (link(temporary.c_str(), path.c_str()) == 0) return absl::OkStatus();
  if (errno == EEXIST) {
    return MakeStatus(StatusCode::kAlreadyExists, "{} is there already", path);
  }
  return Refused("create", path);
}

absl::Status SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "."
                                : slash == 0               ? "/"
                                                           : path.substr(0, slash);
  const int file = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return Refused("open", directory);
  const bool synced = fsync(file) == 0;
  const absl::Status result = synced ? absl::OkStatus() : Refused("sync", directory);
  close(file);
  return result;
}

}  // namespace

absl::Status WriteNewFile(const std::string& path, std::string_view bytes,
                          const NewFileOptions& options) {
  std::string temporary = path + ".new-XXXXXX";
  // Exclusive, and 0600 from the beginning.
  const int file = mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return Refused("create", path);
  absl::Status status = WriteAll(file, bytes, path);
  if (status.ok() && fchmod(file, options.secret ? kSecretMode : kPublicMode) != 0) {
    status = Refused("set the mode of", path);
  }
  if (close(file) != 0 && status.ok()) status = Refused("write", path);
  if (status.ok()) status = Publish(temporary, path, options.replace);
  unlink(temporary.c_str());  // After a rename there is none, which is as well.
  if (!status.ok()) return status;
  return SyncDirectoryOf(path);
}

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), kDirectoryMode) == 0) return absl::OkStatus();
  struct stat facts {};
  if (errno == EEXIST) {
    if (stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode)) return absl::OkStatus();
    errno = ENOTDIR;
  }
  return Refused("make the directory", path);
}

bool FileExists(const std::string& path) {
  struct stat facts {};
  return lstat(path.c_str(), &facts) == 0;
}

}  // namespace holdfast::cli
