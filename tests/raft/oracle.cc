// Runs every script below a folder against the core:
//
//   oracle --scripts DIR
//
// Prints what differs for each file that does, then "N passed, N failed". Exits with 1 if anything
// failed or nothing was found. Written for the scripts that etcd-io/raft publishes; lines of its
// logger (INFO, DEBUG, WARN, ERROR) are left out on both sides, everything else must be equal.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tests/raft/script.h"
#include "tests/raft/script_handlers.h"

namespace holdfast::raft_test {
namespace {

int Main(int argc, char** argv) {
  std::string directory;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--scripts") == 0 && i + 1 < argc) {
      directory = argv[++i];
    } else if (std::strncmp(argv[i], "--scripts=", 10) == 0) {
      directory = argv[i] + 10;
    }
  }
  if (directory.empty()) {
    std::fprintf(stderr, "usage: oracle --scripts DIR\n");
    return 2;
  }
  int passed = 0;
  int failed = 0;
  for (const std::string& path : FindScripts(directory)) {
    const std::string difference = RunScriptFileApart(path, /*strip_logs=*/true);
    if (difference.empty()) {
      ++passed;
      continue;
    }
    ++failed;
    std::printf("FAILED %s: %s\n", path.c_str(), difference.c_str());
  }
  if (passed + failed == 0) std::printf("no scripts below %s\n", directory.c_str());
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace
}  // namespace holdfast::raft_test

int main(int argc, char** argv) { return holdfast::raft_test::Main(argc, argv); }
