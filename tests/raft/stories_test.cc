// One test per file in tests/raft/data: the project's own stories of groups.
//
//   bazel run //tests/raft:stories_test -- --rewrite
//
// puts the output that came into the files of the source tree; read the difference like code.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/raft/script.h"
#include "tests/raft/script_handlers.h"

namespace holdfast::raft_test {
namespace {

constexpr char kFolder[] = "tests/raft/data";

class Story : public testing::Test {
 public:
  explicit Story(std::string path) : path_(std::move(path)) {}

  void TestBody() override { EXPECT_EQ(RunScriptFile(path_, /*strip_logs=*/false).difference, ""); }

 private:
  std::string path_;
};

int Rewrite() {
  const char* root = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  const std::string folder = root == nullptr ? kFolder : format("{}/{}", root, kFolder);
  for (const std::string& path : FindScripts(folder)) {
    const std::string text = RunScriptFile(path, /*strip_logs=*/false).rewritten;
    std::ofstream(path, std::ios::binary) << text;
  }
  return 0;
}

}  // namespace

int RunStories(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--rewrite") return Rewrite();
  }
  const std::vector<std::string> paths = FindScripts(kFolder);
  if (paths.empty()) {
    std::fprintf(stderr, "no stories in %s\n", kFolder);
    return 1;
  }
  for (const std::string& path : paths) {
    const std::string name = std::filesystem::path(path).stem().string();
    testing::RegisterTest("Story", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [path]() -> testing::Test* { return new Story(path); });
  }
  return RUN_ALL_TESTS();
}

}  // namespace holdfast::raft_test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return holdfast::raft_test::RunStories(argc, argv);
}
