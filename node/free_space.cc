#include "node/free_space.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>

namespace holdfast::node {
namespace {

constexpr uint64_t kOpenBytes = uint64_t{64} << 20;
constexpr uint64_t kOpenFiles = 16;
// Where so many could be made it was bytes that were missing.
constexpr uint64_t kFilesSuffice = 1024;

}  // namespace

absl::StatusOr<FreeSpace> FreeSpaceOf(const std::string& path) {
  struct statvfs space {};
  if (statvfs(path.c_str(), &space) != 0) {
    return MakeStatus(absl::StatusCode::kUnavailable, "free space of {}: {}", path,
                      std::strerror(errno));
  }
  FreeSpace free;
  free.bytes = uint64_t{space.f_bavail} * space.f_frsize;
  // Some file systems make inodes as they are needed and say that they have none at all.
  if (space.f_files != 0) free.files = space.f_favail;
  return free;
}

NeededSpace SpaceToOpen() { return {{kOpenBytes, kOpenFiles}}; }

NeededSpace MoreSpaceThan(const FreeSpace& too_little) {
  NeededSpace more;
  more.least.bytes = too_little.bytes + kOpenBytes;
  if (too_little.files >= kFilesSuffice) {
    more.least.files = 0;
    return more;
  }
  more.either = true;
  more.least.files = too_little.files + kOpenFiles;
  return more;
}

}  // namespace holdfast::node
