// Replays every file of tests/smtp/dialogues three ways. HOLDFAST_REWRITE=1, in the source tree,
// writes the files anew from SessionCore's answers: read the difference like code.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "tests/smtp/dialogue.h"

namespace holdfast::smtp {
namespace {

constexpr char kFolder[] = "tests/smtp/dialogues";

std::vector<std::string> Files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".smtp") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

using Way = std::unique_ptr<Conversation> (*)(DialogueWorld&);

class DialogueTest : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(DialogueTest, GoesAsWritten) {
  const auto& [name, way] = GetParam();
  const std::string path = std::string(kFolder) + "/" + name + ".smtp";
  const std::string text = ReadFile(path);
  ASSERT_FALSE(text.empty()) << path;
  const std::vector<DialogueLine> lines = ParseDialogue(text);
  DialogueWorld world(lines);
  if (world.core_only && way != "Core") GTEST_SKIP() << "@only core";
  const Way talk = way == "Core" ? TalkToCore : way == "Memory" ? TalkOverMemory : TalkOverSocket;
  const std::unique_ptr<Conversation> conversation = talk(world);
  const std::string transcript = Replay(lines, world, *conversation);
  if (way == "Core" && std::getenv("HOLDFAST_REWRITE") != nullptr) {
    std::ofstream(path, std::ios::binary) << transcript;
    return;
  }
  EXPECT_EQ(transcript, text) << path << ", " << way;
}

INSTANTIATE_TEST_SUITE_P(Files, DialogueTest,
                         testing::Combine(testing::ValuesIn(Files()),
                                          testing::Values("Core", "Memory", "Socket")),
                         [](const auto& tested) {
                           return std::get<0>(tested.param) + "_" + std::get<1>(tested.param);
                         });

TEST(DialoguesTest, AreAllThere) { EXPECT_GE(Files().size(), 25u); }

}  // namespace
}  // namespace holdfast::smtp
