#include "node/replay/confirm_batch.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

constexpr GroupId kGroup{3};

TEST(ConfirmBatchTest, OneCommandOfAGroupForManyAtMostOncePerInterval) {
  ConfirmBatch batch(absl::Seconds(1), 100, 1000);
  EXPECT_TRUE(batch.empty());
  batch.Add(kGroup, {"1", "x"});
  batch.Add(GroupId{4}, {"2", "y"});
  auto commands = batch.Take(absl::Seconds(10));
  ASSERT_EQ(commands.size(), 2u);
  EXPECT_EQ(commands[0].group, kGroup);
  ASSERT_EQ(commands[0].items.size(), 1u);
  EXPECT_EQ(commands[0].items[0].queue_id, "1");
  EXPECT_FALSE(batch.empty());
  for (auto& command : commands) batch.OnAnswer(std::move(command), false);
  EXPECT_TRUE(batch.empty());
  batch.Add(kGroup, {"3", "x"});
  batch.Add(kGroup, {"4", "x"});
  EXPECT_TRUE(batch.Take(absl::Seconds(10.9)).empty());
  EXPECT_EQ(batch.Take(absl::Seconds(11)).at(0).items.size(), 2u);
}

TEST(ConfirmBatchTest, NoSecondCommandBeforeTheFirstIsAnswered) {
  ConfirmBatch batch(absl::Seconds(1), 2, 1000);
  for (const char* id : {"1", "2", "3"}) batch.Add(kGroup, {id, "x"});
  auto commands = batch.Take(absl::Seconds(10));
  ASSERT_EQ(commands.at(0).items.size(), 2u);
  EXPECT_TRUE(batch.Take(absl::Seconds(20)).empty());
  batch.OnAnswer(std::move(commands[0]), false);
  // More than one command holds: at once.
  EXPECT_EQ(batch.Take(absl::Seconds(10)).at(0).items.at(0).queue_id, "3");
}

TEST(ConfirmBatchTest, WhatWasNotConfirmedIsTriedAgainInItsOrder) {
  ConfirmBatch batch(absl::Seconds(1), 100, 1000);
  batch.Add(kGroup, {"1", "x"});
  batch.Add(kGroup, {"2", "x"});
  auto commands = batch.Take(absl::Seconds(10));
  batch.Add(kGroup, {"3", "x"});
  batch.OnAnswer(std::move(commands.at(0)), true);
  commands = batch.Take(absl::Seconds(10.5), true);
  ASSERT_EQ(commands.at(0).items.size(), 3u);
  EXPECT_EQ(commands[0].items[0].queue_id, "1");
  EXPECT_EQ(commands[0].items[2].queue_id, "3");
}

TEST(ConfirmBatchTest, TheOldestGoWhenTooManyWait) {
  ConfirmBatch batch(absl::Seconds(1), 100, 2);
  for (const char* id : {"1", "2", "3"}) batch.Add(kGroup, {id, "x"});
  auto commands = batch.Take(absl::Seconds(10));
  ASSERT_EQ(commands.at(0).items.size(), 2u);
  EXPECT_EQ(commands[0].items[0].queue_id, "2");
  for (const char* id : {"4", "5"}) batch.Add(kGroup, {id, "x"});
  batch.OnAnswer(std::move(commands[0]), true);
  EXPECT_EQ(batch.Take(absl::Seconds(20)).at(0).items.at(0).queue_id, "4");
}

}  // namespace
}  // namespace holdfast::node
