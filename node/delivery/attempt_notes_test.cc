#include "node/delivery/attempt_notes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace holdfast::node {
namespace {

class AttemptNotesTest : public testing::Test {
 protected:
  AttemptNotesTest() {
    char name[] = "/tmp/holdfast-notes-XXXXXX";
    directory_ = ::mkdtemp(name);
    path_ = directory_ + "/attempts.notes";
    Restart();
  }
  ~AttemptNotesTest() override {
    notes_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Without Close(): what a crash leaves.
  void Restart() {
    notes_.reset();
    auto opened = AttemptNotes::Open(path_, options_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    notes_ = *std::move(opened);
  }

  static queue::UnitKey Unit(uint32_t message, uint32_t unit = 0) {
    return {queue::QueueId::FromParts(1000, 1, message), unit};
  }

  AttemptNotesOptions options_{.units_max = 4, .quarantine_after = 3};
  std::string directory_;
  std::string path_;
  std::unique_ptr<AttemptNotes> notes_;
};

TEST_F(AttemptNotesTest, AUnitUnderWayAtEachCrashIsQuarantined) {
  notes_->Begin(Unit(1));
  Restart();
  EXPECT_EQ(notes_->Of(Unit(1)), Suspicion::kNone);
  notes_->Begin(Unit(1));
  Restart();
  EXPECT_EQ(notes_->Of(Unit(1)), Suspicion::kAttemptAlone);
  notes_->Begin(Unit(1));
  Restart();
  EXPECT_EQ(notes_->Of(Unit(1)), Suspicion::kQuarantine);
  EXPECT_EQ(notes_->CrashesOf(Unit(1)), 3u);
  EXPECT_EQ(notes_->Of(Unit(1, 1)), Suspicion::kNone);
}

TEST_F(AttemptNotesTest, AnEndedAttemptClearsItsUnit) {
  for (int i = 0; i < 2; ++i) {
    notes_->Begin(Unit(1));
    Restart();
  }
  notes_->Begin(Unit(1));
  notes_->End(Unit(1));
  Restart();
  EXPECT_EQ(notes_->CrashesOf(Unit(1)), 0u);
}

TEST_F(AttemptNotesTest, ACrashWithoutTheUnitDoesNotCount) {
  notes_->Begin(Unit(1));
  Restart();
  Restart();
  Restart();
  EXPECT_EQ(notes_->CrashesOf(Unit(1)), 1u);
}

TEST_F(AttemptNotesTest, AStopIsNoCrash) {
  notes_->Begin(Unit(1));
  Restart();
  notes_->Begin(Unit(1));
  notes_->Begin(Unit(2));
  notes_->Close();
  Restart();
  EXPECT_EQ(notes_->CrashesOf(Unit(1)), 1u);
  EXPECT_EQ(notes_->CrashesOf(Unit(2)), 0u);
}

TEST_F(AttemptNotesTest, AnInterruptedAttemptProvesNothing) {
  notes_->Begin(Unit(1));
  Restart();
  notes_->Begin(Unit(1));
  notes_->Interrupt(Unit(1));
  Restart();
  EXPECT_EQ(notes_->CrashesOf(Unit(1)), 1u);
}

TEST_F(AttemptNotesTest, ReleaseGivesAllUnitsOfTheMessageAFreshStart) {
  for (int i = 0; i < 3; ++i) {
    notes_->Begin(Unit(1, 0));
    notes_->Begin(Unit(1, 7));
    notes_->Begin(Unit(2));
    Restart();
  }
  notes_->Forget(Unit(1).queue_id);
  Restart();
  EXPECT_EQ(notes_->Of(Unit(1, 0)), Suspicion::kNone);
  EXPECT_EQ(notes_->Of(Unit(1, 7)), Suspicion::kNone);
  EXPECT_EQ(notes_->Of(Unit(2)), Suspicion::kQuarantine);
}

TEST_F(AttemptNotesTest, FullNotesForgetTheLeastSuspect) {
  notes_->Begin(Unit(1));
  Restart();
  notes_->Begin(Unit(1));
  notes_->Begin(Unit(2));
  Restart();  // 1: two crashes, 2: one crash, neither under way.
  for (uint32_t message = 3; message < 6; ++message) notes_->Begin(Unit(message));
  EXPECT_EQ(notes_->CrashesOf(Unit(1)), 2u);
  EXPECT_EQ(notes_->CrashesOf(Unit(2)), 0u);
  notes_->Begin(Unit(6));  // Takes the place of 1, for all others are under way.
  notes_->Begin(Unit(7));  // Finds none.
  Restart();
  EXPECT_EQ(notes_->CrashesOf(Unit(1)), 0u);
  EXPECT_EQ(notes_->CrashesOf(Unit(6)), 1u);
  EXPECT_EQ(notes_->CrashesOf(Unit(7)), 0u);
}

TEST_F(AttemptNotesTest, NonsenseAndOtherSizesStartEmpty) {
  notes_->Begin(Unit(1));
  notes_.reset();
  std::filesystem::resize_file(path_, 100);
  Restart();
  EXPECT_EQ(notes_->CrashesOf(Unit(1)), 0u);
  notes_->Begin(Unit(1));
  notes_.reset();
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(32);
    file << std::string(32 * 4, '\x01');
  }
  Restart();
  EXPECT_EQ(notes_->CrashesOf(Unit(1)), 0u);
  for (uint32_t message = 1; message < 5; ++message) notes_->Begin(Unit(message));
  Restart();
  EXPECT_EQ(notes_->CrashesOf(Unit(4)), 1u);
}

TEST_F(AttemptNotesTest, OneCrashIsEnoughWhenConfiguredSo) {
  options_.quarantine_after = 1;
  Restart();
  EXPECT_EQ(notes_->Of(Unit(1)), Suspicion::kNone);
  notes_->Begin(Unit(1));
  Restart();
  EXPECT_EQ(notes_->Of(Unit(1)), Suspicion::kQuarantine);
}

TEST_F(AttemptNotesTest, ADirectoryThatIsNotThereIsNamed) {
  const auto opened = AttemptNotes::Open(directory_ + "/none/attempts.notes", options_);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().ToString().find("/none/attempts.notes"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::node
