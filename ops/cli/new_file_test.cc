#include "ops/cli/new_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace holdfast::cli {
namespace {

class NewFileTest : public testing::Test {
 protected:
  NewFileTest() : directory_(testing::TempDir() + "/new-file-XXXXXX") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    path_ = directory_ + "/key";
  }
  ~NewFileTest() override { std::filesystem::remove_all(directory_); }

  std::string Content() {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  mode_t Mode() {
    struct stat facts {};
    EXPECT_EQ(stat(path_.c_str(), &facts), 0);
    return facts.st_mode & 07777;
  }
  size_t Entries() {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory_), {}));
  }

  std::string directory_;
  std::string path_;
};

TEST_F(NewFileTest, ModesDoNotDependOnTheUmask) {
  for (const mode_t mask : {0, 077, 0277}) {
    const mode_t before = umask(mask);
    EXPECT_TRUE(WriteNewFile(path_, "secret", {true, true}).ok());
    EXPECT_EQ(Mode(), 0600u);
    EXPECT_TRUE(WriteNewFile(path_, "public", {false, true}).ok());
    EXPECT_EQ(Mode(), 0644u);
    umask(before);
  }
}

TEST_F(NewFileTest, WhatIsThereIsLeftAlone) {
  EXPECT_TRUE(WriteNewFile(path_, "first", {}).ok());
  const absl::Status status = WriteNewFile(path_, "second", {});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Message(status), path_ + " is there already");
  EXPECT_EQ(Content(), "first");
  EXPECT_TRUE(WriteNewFile(path_, "third", {.replace = true}).ok());
  EXPECT_EQ(Content(), "third");
  EXPECT_EQ(Entries(), 1u) << "no temporary file stays";
}

TEST_F(NewFileTest, ALinkIsNotFollowed) {
  ASSERT_EQ(symlink((directory_ + "/elsewhere").c_str(), path_.c_str()), 0);
  EXPECT_TRUE(FileExists(path_));
  EXPECT_EQ(WriteNewFile(path_, "x", {}).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_FALSE(FileExists(directory_ + "/elsewhere"));
}

TEST_F(NewFileTest, DirectoriesAreMadeForTheOwnerAlone) {
  path_ = directory_ + "/made";
  EXPECT_TRUE(MakeDirectory(path_).ok());
  EXPECT_EQ(Mode(), 0700u);
  EXPECT_TRUE(MakeDirectory(path_).ok()) << "once more is no mistake";
  ASSERT_TRUE(WriteNewFile(directory_ + "/file", "", {}).ok());
  EXPECT_EQ(Message(MakeDirectory(directory_ + "/file")),
            "cannot make the directory " + directory_ + "/file: Not a directory");
  EXPECT_FALSE(MakeDirectory(directory_ + "/a/b").ok());
  EXPECT_FALSE(WriteNewFile(directory_ + "/a/b", "", {}).ok());
}

}  // namespace
}  // namespace holdfast::cli
