#include "node/config/process.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/status.h"

namespace holdfast::node {
namespace {

std::string TempDirectory() {
  std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/processXXXXXX";
  return mkdtemp(path.data());
}

mode_t ModeOf(const std::string& path) {
  struct stat entry {};
  EXPECT_EQ(stat(path.c_str(), &entry), 0) << path;
  return entry.st_mode & 0777;
}

TEST(DataDirectoryTest, IsMadeForUsAlone) {
  const std::string path = TempDirectory() + "/a/b";
  ASSERT_TRUE(EnsureDataDirectory(path).ok());
  EXPECT_EQ(ModeOf(path), 0700u);
  EXPECT_TRUE(EnsureDataDirectory(path).ok()) << "a second start";
}

TEST(DataDirectoryTest, IsClosedToOthers) {
  const std::string path = TempDirectory();
  ASSERT_EQ(chmod(path.c_str(), 0755), 0);
  ASSERT_TRUE(EnsureDataDirectory(path).ok());
  EXPECT_EQ(ModeOf(path), 0700u);
}

TEST(DataDirectoryTest, MustBeADirectory) {
  const std::string path = TempDirectory() + "/file";
  std::ofstream(path) << "x";
  const absl::Status status = EnsureDataDirectory(path);
  EXPECT_EQ(Message(status), "cannot open the data directory `" + path + "`: Not a directory");
}

TEST(PrivilegesTest, NothingHappensWithoutAUser) { EXPECT_TRUE(DropPrivileges("").ok()); }

TEST(PrivilegesTest, AnUnknownUserIsAnError) {
  EXPECT_EQ(DropPrivileges("no-such-user-here").code(), absl::StatusCode::kNotFound);
}

// In a child, for there is no way back.
int DropInChild(const std::string& directory) {
  const pid_t child = fork();
  if (child == 0) {
    SetPrivateFileModes();
    if (!GiveDirectoryTo(directory, "nobody").ok()) _exit(10);
    if (!DropPrivileges("nobody").ok()) _exit(11);
    if (getuid() == 0 || geteuid() == 0 || getegid() == 0) _exit(12);
    if (setuid(0) == 0) _exit(13);
    std::ofstream(directory + "/mine") << "x";
    struct stat entry {};
    if (stat((directory + "/mine").c_str(), &entry) != 0) _exit(14);
    if ((entry.st_mode & 0777) != 0600) _exit(15);
    if (access((directory + "/inner/before").c_str(), R_OK | W_OK) != 0) _exit(16);
    if (!DropPrivileges("nobody").ok()) _exit(17);  // Already that user.
    _exit(0);
  }
  int result = 0;
  waitpid(child, &result, 0);
  return WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

TEST(PrivilegesTest, RootIsGivenUpForGoodAndTheDirectoryStaysUsable) {
  if (geteuid() != 0) {
    const absl::Status status = DropPrivileges("root");
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << Message(status);
    return;
  }
  // Below /tmp, so that the other user can get there.
  std::string directory = "/tmp/holdfast-process-testXXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  ASSERT_EQ(mkdir((directory + "/inner").c_str(), 0700), 0);
  std::ofstream(directory + "/inner/before") << "x";
  ASSERT_EQ(chmod((directory + "/inner/before").c_str(), 0600), 0);
  EXPECT_EQ(DropInChild(directory), 0);
  unlink((directory + "/inner/before").c_str());
  rmdir((directory + "/inner").c_str());
  unlink((directory + "/mine").c_str());
  rmdir(directory.c_str());
}

TEST(NotifyTest, DoesNothingWithoutASocket) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(NotifySystemd("READY=1").ok());
}

std::string ReceivedAt(const sockaddr_un& address, socklen_t size, const char* variable) {
  const int receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(bind(receiver, reinterpret_cast<const sockaddr*>(&address), size), 0);
  setenv("NOTIFY_SOCKET", variable, 1);
  const absl::Status status = NotifySystemd("READY=1\nSTATUS=serving");
  EXPECT_TRUE(status.ok()) << Message(status);
  char buffer[100];
  const ssize_t count = recv(receiver, buffer, sizeof buffer, MSG_DONTWAIT);
  close(receiver);
  unsetenv("NOTIFY_SOCKET");
  return count < 0 ? "" : std::string(buffer, static_cast<size_t>(count));
}

TEST(NotifyTest, SendsToAPathAndToAnAbstractName) {
  // Not below TEST_TMPDIR: a socket's path has 107 characters at most.
  std::string folder = "/tmp/holdfast-notifyXXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/notify";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  EXPECT_EQ(ReceivedAt(address, sizeof address, path.c_str()), "READY=1\nSTATUS=serving");
  unlink(path.c_str());
  rmdir(folder.c_str());

  const std::string name = "@holdfast-notify-" + std::to_string(getpid());
  address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data() + 1, name.size() - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  EXPECT_EQ(ReceivedAt(address, size, name.c_str()), "READY=1\nSTATUS=serving");
}

TEST(NotifyTest, SaysWhatIsWrongWithTheSocket) {
  setenv("NOTIFY_SOCKET", "relative", 1);
  EXPECT_EQ(NotifySystemd("READY=1").code(), absl::StatusCode::kInvalidArgument);
  setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
  EXPECT_FALSE(NotifySystemd("READY=1").ok());
  unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace holdfast::node
