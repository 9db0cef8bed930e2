#include "queue/state/row_bodies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "proto/command.pb.h"
#include "queue/state/keys.h"
#include "queue/testing/test_queue.h"

namespace holdfast::queue {
namespace {

using testing::TestId;
using testing::TestQueue;

std::vector<BodyRef> BodiesOf(TestQueue& queue, size_t enough = SIZE_MAX) {
  std::vector<BodyRef> all;
  const absl::Status status = VisitRowBodies(queue.tables(), [&](const BodyRef& body) {
    all.push_back(body);
    return all.size() < enough;
  });
  EXPECT_TRUE(status.ok()) << status;
  return all;
}

void AddChunk(TestQueue& queue, uint32_t id, uint32_t ordinal) {
  command::Command chunk;
  chunk.mutable_chunk()->set_queue_id(TestId(id).ToString());
  chunk.mutable_chunk()->set_ordinal(ordinal);
  ASSERT_TRUE(queue.Apply(chunk, 1).verdict.ok());
}

TEST(RowBodiesTest, AnEmptyQueueKeepsNothing) {
  TestQueue queue;
  EXPECT_TRUE(BodiesOf(queue).empty());
}

TEST(RowBodiesTest, MessagesAndChunksOfOpenSubmissionsKeepTheirs) {
  TestQueue queue;
  ASSERT_TRUE(queue.Enqueue({.id = 1, .bodies = 2}).verdict.ok());
  const uint64_t whole = queue.index();
  AddChunk(queue, 2, 0);
  const uint64_t chunk = queue.index();
  const std::vector<BodyRef> bodies = BodiesOf(queue);
  ASSERT_EQ(bodies.size(), 3u);
  EXPECT_EQ(bodies[0].index, whole);
  EXPECT_EQ(bodies[0].ordinal, 0u);
  EXPECT_EQ(bodies[1].index, whole);
  EXPECT_EQ(bodies[1].ordinal, 1u);
  EXPECT_EQ(bodies[1].bytes, 1000u);
  EXPECT_EQ(bodies[2].index, chunk);
}

TEST(RowBodiesTest, AChunkThatBecomesAMessageIsCountedOnce) {
  TestQueue queue;
  AddChunk(queue, 1, 0);
  AddChunk(queue, 1, 1);
  ASSERT_TRUE(queue.Enqueue({.id = 1, .bodies = 1, .chunks = 2}).verdict.ok());
  const std::vector<BodyRef> bodies = BodiesOf(queue);
  EXPECT_EQ(bodies.size(), 3u);
  EXPECT_EQ(std::set<BodyRef>(bodies.begin(), bodies.end()).size(), 3u);
}

TEST(RowBodiesTest, WhatEndsIsNotKept) {
  TestQueue queue;
  ASSERT_TRUE(queue.Enqueue({.id = 1}).verdict.ok());
  ASSERT_TRUE(queue.Enqueue({.id = 2}).verdict.ok());
  ASSERT_TRUE(queue.Intent({.id = 1}).verdict.ok());
  const ApplyResult ended = queue.Outcome({.id = 1});
  ASSERT_TRUE(ended.verdict.ok());
  ASSERT_EQ(ended.ended_bodies.size(), 1u);
  const std::vector<BodyRef> bodies = BodiesOf(queue);
  ASSERT_EQ(bodies.size(), 1u);
  EXPECT_NE(bodies[0], ended.ended_bodies[0]);
  EXPECT_EQ(bodies[0].index, 2u);
}

TEST(RowBodiesTest, ManyPagesAreVisitedInOrderUntilTheVisitorHasEnough) {
  TestQueue queue(/*check_invariants=*/false);
  for (uint32_t id = 1; id <= 1000; ++id) {
    ASSERT_TRUE(queue.Enqueue({.id = id, .bodies = 2}).verdict.ok());
  }
  const std::vector<BodyRef> bodies = BodiesOf(queue);
  EXPECT_EQ(bodies.size(), 2000u);
  EXPECT_TRUE(std::is_sorted(bodies.begin(), bodies.end()));
  EXPECT_EQ(std::set<BodyRef>(bodies.begin(), bodies.end()).size(), 2000u);
  EXPECT_EQ(BodiesOf(queue, 700).size(), 700u);
}

TEST(RowBodiesTest, ARowThatCannotBeReadIsAnError) {
  TestQueue queue(/*check_invariants=*/false);
  ASSERT_TRUE(queue.Enqueue({.id = 1}).verdict.ok());
  queue.tables().Put(MessageKey(TestId(2)), "\x01\xff\xff");
  EXPECT_EQ(VisitRowBodies(queue.tables(), [](const BodyRef&) { return true; }).code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace holdfast::queue
