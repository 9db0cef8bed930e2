// Each file of tests/queue/data is one test. `bazel run //tests/queue:queue_script_test --
// --rewrite` replaces the outputs in the source tree by what the queue says now.
#include <dirent.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/queue/queue_script.h"

namespace holdfast::queue::testing {
namespace {

constexpr char kFolder[] = "tests/queue/data";

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> ScriptsIn(const std::string& folder) {
  std::vector<std::string> names;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name.ends_with(".txt")) names.push_back(name.substr(0, name.size() - 4));
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

class QueueScriptTest : public ::testing::Test {
 public:
  explicit QueueScriptTest(std::string path) : path_(std::move(path)) {}
  void TestBody() override {
    const std::string expected = ReadFile(path_);
    ASSERT_FALSE(expected.empty()) << path_;
    EXPECT_EQ(RunQueueScript(expected), expected);
  }

 private:
  const std::string path_;
};

int Rewrite() {
  const char* root = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  const std::string folder = (root == nullptr ? std::string(".") : root) + "/" + kFolder;
  for (const std::string& name : ScriptsIn(folder)) {
    const std::string path = folder + "/" + name + ".txt";
    const std::string text = RunQueueScript(ReadFile(path));
    std::ofstream(path) << text;
    std::cout << "rewrote " << path << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace holdfast::queue::testing

int main(int argc, char** argv) {
  using holdfast::queue::testing::QueueScriptTest;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--rewrite") return holdfast::queue::testing::Rewrite();
  }
  ::testing::InitGoogleTest(&argc, argv);
  const std::vector<std::string> names =
      holdfast::queue::testing::ScriptsIn(holdfast::queue::testing::kFolder);
  if (names.empty()) {
    std::cerr << "no scripts in " << holdfast::queue::testing::kFolder << "\n";
    return 1;
  }
  for (const std::string& name : names) {
    const std::string path = std::string(holdfast::queue::testing::kFolder) + "/" + name + ".txt";
    ::testing::RegisterTest("QueueScript", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [path]() -> QueueScriptTest* { return new QueueScriptTest(path); });
  }
  return RUN_ALL_TESTS();
}
