#include "node/config/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

namespace holdfast::node {
namespace {

absl::Status SystemError(const std::string& what, const std::string& path) {
  return MakeStatus(absl::StatusCode::kUnavailable, "{} {}: {}", what, path, std::strerror(errno));
}

}  // namespace

absl::Status WriteDurably(const std::string& path, const std::string& text) {
  const std::string next = path + ".next";
  const int file = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return SystemError("cannot write", next);
  const ssize_t written = write(file, text.data(), text.size());
  const bool kept = written == static_cast<ssize_t>(text.size()) && fsync(file) == 0;
  const absl::Status status = kept ? absl::OkStatus() : SystemError("cannot write", next);
  close(file);
  HOLDFAST_RETURN_IF_ERROR(status);
  if (rename(next.c_str(), path.c_str()) != 0) return SystemError("cannot write", path);
  const std::string folder = path.substr(0, path.rfind('/'));
  const int directory = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return SystemError("cannot open", folder);
  const bool synced = fsync(directory) == 0;
  const absl::Status end = synced ? absl::OkStatus() : SystemError("cannot sync", folder);
  close(directory);
  return end;
}

absl::StatusOr<std::optional<std::string>> ReadSmallFile(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return std::optional<std::string>();
  std::ifstream in(path, std::ios::binary);
  std::string text(kSmallFileBytesMax, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || !in.eof()) return SystemError("cannot read", path);
  text.resize(static_cast<size_t>(in.gcount()));
  return std::optional<std::string>(std::move(text));
}

}  // namespace holdfast::node
