#include "node/config/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/status.h"
#include "base/text.h"

namespace holdfast::node {
namespace {

absl::Status SystemError(std::string_view what) {
  const int error = errno;
  const absl::StatusCode code = error == EACCES || error == EPERM
                                    ? absl::StatusCode::kPermissionDenied
                                    : absl::StatusCode::kUnavailable;
  return MakeStatus(code, "{}: {}", what, std::strerror(error));
}

struct Account {
  uid_t user = 0;
  gid_t group = 0;
};

absl::StatusOr<Account> FindAccount(const std::string& name) {
  errno = 0;
  const struct passwd* const entry = getpwnam(name.c_str());
  if (entry == nullptr) {
    return MakeStatus(absl::StatusCode::kNotFound, "there is no user `{}` on this host", name);
  }
  return Account{entry->pw_uid, entry->pw_gid};
}

// Takes over `directory` and closes it. False, with errno set, when something could not be given.
bool GiveTree(int directory, const Account& account, int depth) {
  constexpr int kDepthMax = 16;
  DIR* const listing = fdopendir(directory);
  if (listing == nullptr) {
    close(directory);
    return false;
  }
  bool given = fchown(directory, account.user, account.group) == 0;
  while (const struct dirent* entry = given ? readdir(listing) : nullptr) {
    const std::string_view name = entry->d_name;
    struct stat found {};
    if (name == "." || name == "..") continue;
    given = fstatat(directory, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
            (found.st_uid == account.user || fchownat(directory, entry->d_name, account.user,
                                                      account.group, AT_SYMLINK_NOFOLLOW) == 0);
    if (!given || !S_ISDIR(found.st_mode) || depth >= kDepthMax) continue;
    const int inner =
        openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    given = inner >= 0 && GiveTree(inner, account, depth + 1);
  }
  const int error = errno;
  closedir(listing);
  errno = error;
  return given;
}

}  // namespace

void SetPrivateFileModes() {
  umask(077);
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

absl::Status EnsureDataDirectory(const std::string& path) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError(format("cannot make the data directory `{}`", path));
  }
  const int directory = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return SystemError(format("cannot open the data directory `{}`", path));
  struct stat entry {};
  const bool closed_to_others =
      fstat(directory, &entry) == 0 &&
      ((entry.st_mode & 077) == 0 || entry.st_uid != geteuid() || fchmod(directory, 0700) == 0);
  absl::Status status;
  if (!closed_to_others) {
    status = SystemError(format("cannot close the data directory `{}` to others", path));
  } else if (faccessat(directory, ".", W_OK | X_OK, AT_EACCESS) != 0) {
    status = SystemError(format("cannot write to the data directory `{}`", path));
  }
  close(directory);
  return status;
}

absl::Status GiveDirectoryTo(const std::string& path, const std::string& user) {
  if (user.empty() || geteuid() != 0) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(const Account account, FindAccount(user));
  const int directory = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (directory < 0) return SystemError(format("cannot open `{}`", path));
  return GiveTree(directory, account, /*depth=*/0)
             ? absl::OkStatus()
             : SystemError(format("cannot give what is in `{}` to {}", path, user));
}

absl::Status DropPrivileges(const std::string& user) {
  if (user.empty()) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(const Account account, FindAccount(user));
  if (geteuid() == account.user && getuid() == account.user) return absl::OkStatus();
  if (geteuid() != 0) {
    return MakeStatus(absl::StatusCode::kPermissionDenied,
                      "cannot become user `{}`: start as root or as that user", user);
  }
  if (initgroups(user.c_str(), account.group) != 0) return SystemError("cannot set the groups");
  if (setresgid(account.group, account.group, account.group) != 0) {
    return SystemError(format("cannot take the group of `{}`", user));
  }
  if (setresuid(account.user, account.user, account.user) != 0) {
    return SystemError(format("cannot become user `{}`", user));
  }
  if (account.user != 0 && (setuid(0) == 0 || seteuid(0) == 0)) {
    return MakeStatus(absl::StatusCode::kInternal, "root could be had back after becoming `{}`",
                      user);
  }
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return absl::OkStatus();
}

absl::Status RestartProcess() {
  std::string arguments;
  const int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  if (file < 0) return SystemError("/proc/self/cmdline");
  char piece[4096];
  ssize_t count = 0;
  while ((count = read(file, piece, sizeof(piece))) > 0) arguments.append(piece, count);
  if (count < 0 || arguments.empty()) return SystemError("/proc/self/cmdline");
  std::vector<char*> argv;
  for (size_t at = 0; at < arguments.size(); at += std::strlen(&arguments[at]) + 1) {
    argv.push_back(&arguments[at]);
  }
  argv.push_back(nullptr);
  // Ports and the store's lock are for the new program to take.
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return SystemError("close_range");
  execv("/proc/self/exe", argv.data());
  return SystemError("execv");
}

bool MayBindLowPorts() {
  return geteuid() == 0 ||
         prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_BIND_SERVICE, 0, 0) == 1;
}

absl::Status NotifySystemd(std::string_view state) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || path[0] == '\0') return absl::OkStatus();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = std::strlen(path);
  if ((path[0] != '/' && path[0] != '@') || length >= sizeof address.sun_path) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "NOTIFY_SOCKET `{}` is no socket path",
                      path);
  }
  std::memcpy(address.sun_path, path, length);
  // '@' stands for the zero byte of Linux's abstract names.
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return SystemError("cannot make a socket to notify systemd");
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  const ssize_t sent = sendto(socket_fd, state.data(), state.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&address), size);
  absl::Status status;
  if (sent != static_cast<ssize_t>(state.size())) {
    status = SystemError(format("cannot notify systemd at `{}`", path));
  }
  close(socket_fd);
  return status;
}

}  // namespace holdfast::node
